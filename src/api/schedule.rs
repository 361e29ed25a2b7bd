//! `sync_scheduled`: what is due, of all organisations.
//!
//! The caller itself touches no table. Workers tell what is due, a part at a time; then each organisation gets a worker of its
//! own, several at once and each with a time limit, so that none keeps the others waiting.

use crate::call::{self, Call, Finished, Order, Orders};
use crate::pg::lock::Lock;
use crate::pg::report::raise;
use crate::pg::session;
use crate::request::{Job, List, ListMode, Mode};
use crate::settings::Settings;
use pgrx::prelude::*;
use pgrx::JsonB;
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// From the end of an organisation's time to when its worker is ended: it ends by itself, unless something is wrong.
const GRACE: Duration = Duration::from_secs(15);
/// Users, pulls and errors that a reply tells of, each.
const SHOWN: usize = 1000;

#[derive(Deserialize)]
struct Due {
    pulls: Vec<Value>,
    lists: Vec<Value>,
}

/// The names are those of SQL: the last one of an answer is where the next begins.
#[derive(Deserialize)]
struct DuePull {
    org_id: String,
    sync_type: String,
    entity_type: EntityType,
    reason: String,
}

#[derive(Deserialize)]
struct DueList {
    org_id: String,
    items: u64,
    users: u64,
}

enum Task {
    Pull(DuePull),
    List(DueList),
}

/// `sync_scheduled() → jsonb`
#[pg_extern(volatile)]
fn sync_scheduled() -> JsonB {
    JsonB(scheduled().unwrap_or_else(|e| raise(e)))
}

/// `sync_maintain() → jsonb`
#[pg_extern(volatile)]
fn sync_maintain() -> JsonB {
    JsonB(call::run_for(String::new(), "", Job::Maintain).unwrap_or_else(|e| raise(e)))
}

fn scheduled() -> Result<Value> {
    session::refuse_read_only()?;
    // of each role, as what is due depends on it: nobody keeps others from theirs. Until the end of the call, not of its
    // transaction, which may be left open
    let lock = Lock::named(&format!("sync_ext:scheduled:{}", session::caller().to_u32()));
    let Some(_mine) = lock.try_guard() else {
        return Ok(json!({ "status": "skipped", "reason": "another call of sync_scheduled() is at it" }));
    };
    let mut agenda = Agenda::new();
    agenda.read()?;
    call::run_orders(&mut agenda, usize::MAX);
    Ok(agenda.tally.report(agenda.begun))
}

/// What is due, read a part at a time until the time is over: what has been read is begun in any case, so that those who wait
/// longest, and may be the slowest, don't keep the others from their turn.
struct Agenda {
    begun: Instant,
    limit: Duration,
    ready: Vec<Order>,
    after: Option<Value>,
    served: BTreeSet<(String, Option<(String, EntityType)>)>,
    under_way: BTreeMap<usize, Task>,
    number: usize,
    tally: Tally,
}

impl Agenda {
    fn new() -> Self {
        Agenda {
            begun: Instant::now(),
            limit: Settings::current().schedule_time_limit,
            ready: Vec::new(),
            after: None,
            served: BTreeSet::new(),
            under_way: BTreeMap::new(),
            number: 0,
            tally: Tally::default(),
        }
    }

    /// Asks for the next part.
    fn read(&mut self) -> Result<()> {
        let job = Job::Due {
            after: self.after.take(),
        };
        let due: Due = typed(call::run_for(String::new(), "", job)?)?;
        let after = json!({ "pull": due.pulls.last(), "list": due.lists.last() });
        for list in due.lists {
            self.take(Task::List(typed(list)?))?;
        }
        for pull in due.pulls {
            self.take(Task::Pull(typed(pull)?))?;
        }
        self.after = (!self.ready.is_empty()).then_some(after);
        Ok(())
    }

    /// Once in a call: what is left of an organisation's items is left for the next one.
    fn take(&mut self, task: Task) -> Result<()> {
        let (order, is_new) = match &task {
            Task::List(list) => (
                self.order(&list.org_id, "", self.list_job())?,
                self.served.insert((list.org_id.clone(), None)),
            ),
            Task::Pull(pull) => {
                let job = Job::Pull {
                    entity: pull.entity_type,
                    mode: Mode::Incremental,
                };
                let what = (pull.sync_type.clone(), pull.entity_type);
                (
                    self.order(&pull.org_id, &pull.sync_type, job)?,
                    self.served.insert((pull.org_id.clone(), Some(what))),
                )
            }
        };
        if is_new {
            if let Task::List(list) = &task {
                self.tally.items += list.items;
                self.tally.users += list.users;
                self.tally.lists += 1;
            }
            self.under_way.insert(self.number, task);
            self.number += 1;
            self.ready.push(order);
        }
        Ok(())
    }

    fn list_job(&self) -> Job {
        Job::List(List {
            mode: ListMode::Scheduled,
            ids: None,
            item_type: None,
            time_limit: Some(self.limit),
        })
    }

    fn order(&self, org: &str, sync_type: &str, job: Job) -> Result<Order> {
        Ok(Order {
            call: Call::new(org.to_owned(), sync_type, job)?,
            time_limit: Some(self.limit + GRACE),
        })
    }
}

impl Orders for Agenda {
    fn more(&mut self) -> Vec<Order> {
        let is_time_left = self.begun.elapsed() < self.limit;
        if self.ready.is_empty() && self.after.is_some() && is_time_left {
            // what can't be read now is read a minute later
            let _ = self.read();
        }
        std::mem::take(&mut self.ready)
    }

    fn ended(&mut self, number: usize, how: Finished) {
        match self.under_way.remove(&number) {
            Some(Task::List(list)) => self.tally.list(list, how),
            Some(Task::Pull(pull)) => self.tally.pull(pull, how),
            None => {}
        }
    }
}

/// What came of it.
#[derive(Default)]
struct Tally {
    lists: usize,
    users: u64,
    items: u64,
    processed: u64,
    failed: u64,
    refused: usize,
    user_results: Shown,
    pulls: Shown,
    errors: Shown,
}

/// A list that doesn't grow with the number of organisations.
#[derive(Default)]
struct Shown {
    first: Vec<Value>,
    omitted: u64,
}

impl Shown {
    fn add(&mut self, value: Value) {
        match self.first.len() < SHOWN {
            true => self.first.push(value),
            false => self.omitted += 1,
        }
    }
}

impl Tally {
    fn list(&mut self, list: DueList, how: Finished) {
        match how.outcome {
            Ok(told) => {
                let count = |name: &str| told[name].as_u64().unwrap_or_default();
                self.processed += count("itemsProcessed");
                self.failed += count("itemsFailed");
                for user in told["users"].as_array().into_iter().flatten() {
                    self.user_results.add(user.clone());
                }
            }
            Err(error) => {
                self.refused += 1;
                self.errors
                    .add(json!({ "orgId": list.org_id, "error": error.message }));
            }
        }
    }

    fn pull(&mut self, pull: DuePull, how: Finished) {
        self.pulls.add(json!({
            "orgId": pull.org_id,
            "syncType": pull.sync_type,
            "entityType": pull.entity_type.name(),
            "reason": pull.reason,
            "status": if how.outcome.is_ok() { "success" } else { "failed" },
            "error": how.outcome.as_ref().err().map(|error| error.message.as_str()),
        }));
    }

    fn report(self, begun: Instant) -> Value {
        let status = match (self.refused, self.failed) {
            (0, 0) => "completed",
            (n, _) if n == self.lists => "failed",
            _ => "partial_success",
        };
        json!({
            "status": status,
            "totalUsers": self.users,
            "totalItems": self.items,
            "itemsProcessed": self.processed,
            "itemsSucceeded": self.processed - self.failed,
            "itemsFailed": self.failed,
            "duration": begun.elapsed().as_millis() as u64,
            "userResults": self.user_results.first,
            "pulls": self.pulls.first,
            "errors": self.errors.first,
            "omitted": self.user_results.omitted + self.pulls.omitted + self.errors.omitted,
        })
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::new(Code::Internal, e.to_string()))
}
