//! Items on their way to connectors, in groups that make one request each.

use super::step::{Place, Ready, Step};
use std::collections::VecDeque;

/// What waits for its turn, in the order of priority.
#[derive(Default)]
pub struct Queue {
    searches: VecDeque<(usize, Step)>,
    writes: VecDeque<Ready>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.searches.is_empty() && self.writes.is_empty()
    }

    /// Adds what has to be looked for, with how many others one request can.
    pub fn search(&mut self, at_once: usize, step: Step) {
        self.searches.push_back((at_once, step));
    }

    /// Adds what can be sent.
    pub fn write(&mut self, ready: Ready) {
        self.writes.push_back(ready);
    }

    /// The next writes to one place, where `free` requests can be begun: together as many as one request makes, apart where
    /// there are fewer than requests.
    pub fn next_writes(&mut self, free: usize) -> Option<(Place, Vec<Ready>)> {
        group(
            &mut self.writes,
            free,
            |one| one.sent.write.place(),
            |one| one.at_once,
        )
    }

    /// The next searches in one place, likewise.
    pub fn next_searches(&mut self, free: usize) -> Option<(Place, Vec<Step>)> {
        let found = group(
            &mut self.searches,
            free,
            |(_, step)| step.write.place(),
            |(at_once, _)| *at_once,
        );
        found.map(|(place, steps)| (place, steps.into_iter().map(|(_, step)| step).collect()))
    }
}

/// Takes out what goes with the first of a queue.
fn group<T>(
    queue: &mut VecDeque<T>,
    free: usize,
    place: impl Fn(&T) -> Place,
    at_once: impl Fn(&T) -> usize,
) -> Option<(Place, Vec<T>)> {
    let first = queue.pop_front()?;
    let (to, most) = (place(&first), at_once(&first));
    let mut group = vec![first];
    if most > 1 {
        let goes_along = |one: &T| at_once(one) > 1 && place(one) == to;
        let others = queue.iter().filter(|one| goes_along(one)).count();
        let share = (others + 1).div_ceil(free.max(1)).min(most);
        let mut left = VecDeque::with_capacity(queue.len());
        for one in queue.drain(..) {
            match group.len() < share && goes_along(&one) {
                true => group.push(one),
                false => left.push_back(one),
            }
        }
        *queue = left;
    }
    Some((to, group))
}
