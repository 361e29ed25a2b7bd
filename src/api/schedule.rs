//! `sync_scheduled`: what is due, of all organisations.
//!
//! The caller itself touches no table. A worker tells what is due; then each organisation gets a worker of its own,
//! several at a time and each with a time limit, so that none keeps the others waiting.

use crate::report::raise;
use crate::settings::Settings;
use crate::store::run as runs;
use crate::worker::{self, Call, Finished, Job, List, ListMode, Mode, Order};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde::Deserialize;
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// From the end of an organisation's time to when its worker is ended: it ends by itself, unless something is wrong.
const GRACE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
struct Due {
    pulls: Vec<DuePull>,
    lists: Vec<DueList>,
}

#[derive(Debug, Deserialize)]
struct DuePull {
    org_id: String,
    sync_type: String,
    entity_type: EntityType,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct DueList {
    org_id: String,
    items: u64,
    users: u64,
}

/// `sync_scheduled() → jsonb`
#[pg_extern(volatile)]
fn sync_scheduled() -> JsonB {
    JsonB(scheduled().unwrap_or_else(|e| raise(e)))
}

fn scheduled() -> Result<Value> {
    let begun = Instant::now();
    worker::refuse_read_only()?;
    // ends with the call's transaction, however that ends
    if !runs::try_transaction_lock("sync_ext:scheduled")? {
        return Ok(json!({ "status": "skipped", "reason": "another call of sync_scheduled() is at it" }));
    }
    let due = worker::run_for(String::new(), "", Job::Due)?;
    let due: Due = serde_json::from_value(due).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let limit = Settings::current().schedule_time_limit;
    let order = |org: &str, sync_type: &str, job| -> Result<Order> {
        Ok(Order {
            call: Call::new(org.to_owned(), sync_type, job)?,
            time_limit: Some(limit + GRACE),
        })
    };
    let lists = due.lists.iter().map(|list| {
        let job = Job::List(List {
            mode: ListMode::Scheduled,
            ids: None,
            entity: None,
            time_limit: Some(limit),
        });
        order(&list.org_id, "", job)
    });
    let pulls = due.pulls.iter().map(|pull| {
        let job = Job::Pull {
            entity: pull.entity_type,
            mode: Mode::Incremental,
        };
        order(&pull.org_id, &pull.sync_type, job)
    });
    let orders = lists.chain(pulls).collect::<Result<_>>()?;
    let mut finished = worker::run_orders(orders, usize::MAX);
    let pulled = finished.split_off(due.lists.len());
    Ok(report(&due, &finished, &pulled, begun))
}

fn report(due: &Due, lists: &[Finished], pulls: &[Finished], begun: Instant) -> Value {
    let mut users = Vec::new();
    let mut errors = Vec::new();
    let (mut processed, mut failed) = (0, 0);
    for (list, finished) in due.lists.iter().zip(lists) {
        match &finished.outcome {
            Ok(told) => {
                let count = |name: &str| told[name].as_u64().unwrap_or_default();
                processed += count("itemsProcessed");
                failed += count("itemsFailed");
                users.extend(told["users"].as_array().into_iter().flatten().cloned());
            }
            Err(error) => errors.push(json!({ "orgId": list.org_id, "error": error.message })),
        }
    }
    let pulls: Vec<Value> = due.pulls.iter().zip(pulls).map(pull_report).collect();
    let status = match (errors.len(), failed) {
        (0, 0) => "completed",
        (n, _) if n == due.lists.len() => "failed",
        _ => "partial_success",
    };
    json!({
        "status": status,
        "totalUsers": due.lists.iter().map(|list| list.users).sum::<u64>(),
        "totalItems": due.lists.iter().map(|list| list.items).sum::<u64>(),
        "itemsProcessed": processed,
        "itemsSucceeded": processed - failed,
        "itemsFailed": failed,
        "duration": begun.elapsed().as_millis() as u64,
        "userResults": users,
        "pulls": pulls,
        "errors": errors,
    })
}

fn pull_report((pull, finished): (&DuePull, &Finished)) -> Value {
    json!({
        "orgId": pull.org_id,
        "syncType": pull.sync_type,
        "entityType": pull.entity_type.name(),
        "reason": pull.reason,
        "status": if finished.outcome.is_ok() { "success" } else { "failed" },
        "error": finished.outcome.as_ref().err().map(|error| error.message.as_str()),
    })
}
