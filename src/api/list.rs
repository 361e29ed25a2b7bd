//! Sync lists: through a worker that carries out the items of the organisation.

use crate::call;
use crate::pg::report::raise;
use crate::request::{Job, List, ListMode};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::Value;
use sync_engine::core::ItemType;
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
        item_type: item_type.map(str::parse).transpose()?,
        time_limit: None,
    };
    call::run("", Job::List(list))
}

/// `sync_item_entity(item_type) → text`: the entity type of an item; 22023 for what is none.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_item_entity(item_type: &str) -> &'static str {
    item(item_type).entity.name()
}

/// `sync_item_is_stock(item_type) → boolean`: whether only the stock of a product is meant.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_item_is_stock(item_type: &str) -> bool {
    item(item_type).is_stock
}

/// `sync_item_fields(item_type) → text[]`: the fields that such an item is restricted to; NULL: none of them.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_item_fields(item_type: &str) -> Option<Vec<&'static str>> {
    item(item_type).fields().map(<[&str]>::to_vec)
}

/// `sync_item_misfit(item_type, fields) → text`: the first of these that such an item can't be restricted to.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_item_misfit(item_type: &str, fields: Vec<Option<String>>) -> Option<String> {
    let item = item(item_type);
    let names = fields.into_iter().map(Option::unwrap_or_default);
    names.into_iter().find(|name| !item.has_field(name))
}

fn item(item_type: &str) -> ItemType {
    item_type.parse().unwrap_or_else(|e| raise(e))
}
