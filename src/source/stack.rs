//! What a pull still has to read. Last in, first out: what follows from a task is read before the next page,
//! so the stack stays short. Runs of windows are kept as ranges: the checkpoint of a pull over 1,000,000
//! records must not be 10,000 tasks long.

use super::{At, Task};
use serde::{Deserialize, Serialize};

/// One entry: a task, or a run of windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    /// The windows at `first`, `first + step`, … `last` of a listing.
    Windows {
        task: Task,
        first: u64,
        last: u64,
        step: u64,
    },
    One(Task),
}

/// Tasks not yet handed out, and those under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stack {
    open: Vec<Entry>,
    under_way: Vec<Task>,
}

impl Stack {
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.under_way.is_empty()
    }

    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Adds tasks; the windows among them become ranges.
    pub fn push(&mut self, tasks: impl IntoIterator<Item = Task>) {
        let (mut windows, rest): (Vec<_>, Vec<_>) = tasks
            .into_iter()
            .partition(|task| matches!(task.at, At::Offset(_)));
        windows.sort_by(|a, b| (&a.list, offset(a)).cmp(&(&b.list, offset(b))));
        for task in windows {
            self.push_window(task);
        }
        self.open.extend(rest.into_iter().map(Entry::One));
    }

    fn push_window(&mut self, task: Task) {
        let at = offset(&task);
        match self.open.last_mut() {
            Some(Entry::Windows {
                task: t, last, step, ..
            }) if same_listing(t, &task) && at == *last + *step => *last = at,
            Some(entry) => match entry {
                Entry::One(t) if same_listing(t, &task) && offset(t) < at => {
                    let first = offset(t);
                    *entry = Entry::Windows {
                        task,
                        first,
                        last: at,
                        step: at - first,
                    };
                }
                _ => self.open.push(Entry::One(task)),
            },
            None => self.open.push(Entry::One(task)),
        }
    }

    /// Takes the next task and notes it as under way.
    pub fn take(&mut self) -> Option<Task> {
        let task = match self.open.pop()? {
            Entry::One(task) => task,
            Entry::Windows {
                task,
                first,
                last,
                step,
            } => {
                if last > first {
                    self.open.push(Entry::Windows {
                        task: task.clone(),
                        first,
                        last: last - step,
                        step,
                    });
                }
                Task {
                    at: At::Offset(last),
                    ..task
                }
            }
        };
        self.under_way.push(task.clone());
        Some(task)
    }

    /// The task is done.
    pub fn done(&mut self, task: &Task) {
        if let Some(at) = self.under_way.iter().position(|t| t == task) {
            self.under_way.swap_remove(at);
        }
    }

    /// After a restart: what was under way is to be done again.
    pub fn restart(&mut self) {
        let again = std::mem::take(&mut self.under_way);
        self.push(again);
    }
}

fn offset(task: &Task) -> u64 {
    task.at.offset().unwrap_or_default()
}

fn same_listing(a: &Task, b: &Task) -> bool {
    matches!((&a.at, &b.at), (At::Offset(_), At::Offset(_)))
        && (&a.list, a.content, a.since) == (&b.list, b.content, b.since)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::Content;

    fn window(at: u64) -> Task {
        Task {
            list: "customers".into(),
            content: Content::Full,
            since: None,
            at: At::Offset(at),
        }
    }

    fn by_id(id: &str) -> Task {
        Task {
            at: At::Ids(vec![id.into()]),
            ..window(0)
        }
    }

    fn drain(stack: &mut Stack) -> Vec<Task> {
        std::iter::from_fn(|| stack.take()).collect()
    }

    #[test]
    fn many_windows_are_one_range_and_come_back_each_once() {
        let mut stack = Stack::default();
        let all: Vec<Task> = (0..10_000).rev().map(|n| window(99 * n)).collect();
        stack.push(all.clone());
        assert!(serde_json::to_string(&stack).unwrap().len() < 300);
        assert_eq!(drain(&mut stack), all);
        assert!(!stack.has_open());
    }

    #[test]
    fn listings_steps_and_other_tasks_are_not_mixed() {
        let mut stack = Stack::default();
        let other = Task {
            list: "orders".into(),
            ..window(99)
        };
        let tasks = [window(0), window(99), window(150), other, by_id("7")];
        stack.push(tasks.clone());
        let mut taken = drain(&mut stack);
        assert_eq!(taken.len(), tasks.len());
        taken.retain(|task| !tasks.contains(task));
        assert_eq!(taken, []);
    }

    #[test]
    fn what_came_last_is_read_first() {
        let mut stack = Stack::default();
        stack.push([window(0)]);
        stack.push([by_id("7")]);
        assert_eq!(stack.take(), Some(by_id("7")));
    }

    #[test]
    fn a_restart_does_again_what_was_under_way_and_not_what_was_done() {
        let mut stack = Stack::default();
        stack.push([window(0), window(99), window(198)]);
        let (first, second) = (stack.take().unwrap(), stack.take().unwrap());
        stack.done(&first);
        let stored = serde_json::to_value(&stack).unwrap();
        let mut restored: Stack = serde_json::from_value(stored).unwrap();
        assert!(!restored.is_empty());
        restored.restart();
        let again = drain(&mut restored);
        assert!(again.contains(&second) && again.contains(&window(0)) && again.len() == 2);
    }
}
