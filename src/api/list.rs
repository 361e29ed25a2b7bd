//! Sync lists: through a worker that carries out the items of the organisation.

use crate::report::raise;
use crate::worker::{self, Job, List, ListMode};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::Value;
use sync_engine::error::Result;

/// `sync_delta(sync_list_ids uuid[] default null, item_type default null) → jsonb`
#[pg_extern(volatile)]
fn sync_delta(
    sync_list_ids: default!(Option<Vec<Option<pgrx::Uuid>>>, "NULL"),
    item_type: default!(Option<&str>, "NULL"),
) -> JsonB {
    let done = carry_out(ListMode::Delta, sync_list_ids, item_type);
    JsonB(done.unwrap_or_else(|e| raise(e)))
}

/// `sync_full(sync_list_ids uuid[] default null, item_type default null) → jsonb`
#[pg_extern(volatile)]
fn sync_full(
    sync_list_ids: default!(Option<Vec<Option<pgrx::Uuid>>>, "NULL"),
    item_type: default!(Option<&str>, "NULL"),
) -> JsonB {
    let done = carry_out(ListMode::Full, sync_list_ids, item_type);
    JsonB(done.unwrap_or_else(|e| raise(e)))
}

fn carry_out(mode: ListMode, ids: Option<Vec<Option<pgrx::Uuid>>>, item_type: Option<&str>) -> Result<Value> {
    let list = List {
        mode,
        ids: ids.map(|ids| ids.into_iter().flatten().map(|id| id.to_string()).collect()),
        entity: item_type.map(str::parse).transpose()?,
        time_limit: None,
    };
    worker::run("", Job::List(list))
}
