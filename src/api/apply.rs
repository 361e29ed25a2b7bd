//! `sync_apply` and `sync_undo`.

use super::needed;
use crate::call;
use crate::pg::report::raise;
use crate::request::{ApplyOptions, Job};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{json, Map, Value};
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// `sync_apply(sync_type, entity_type, include_new, include_updated, include_deleted default from sync_select,
/// preview_id default null, allow_mass_delete default false, dry_run default false, allow_mass_update default false) → jsonb`
#[pg_extern(volatile)]
#[allow(clippy::too_many_arguments)] // they are SQL's, and named there
fn sync_apply(
    sync_type: Option<&str>,
    entity_type: Option<&str>,
    include_new: default!(Option<bool>, "NULL"),
    include_updated: default!(Option<bool>, "NULL"),
    include_deleted: default!(Option<bool>, "NULL"),
    preview_id: default!(Option<pgrx::Uuid>, "NULL"),
    allow_mass_delete: default!(Option<bool>, "false"),
    dry_run: default!(Option<bool>, "false"),
    allow_mass_update: default!(Option<bool>, "false"),
) -> JsonB {
    let asked = || {
        let options = ApplyOptions {
            new: include_new,
            updated: include_updated,
            deleted: include_deleted,
            preview_id: preview_id.map(|id| id.to_string()),
            allow_mass_delete: needed("allow_mass_delete", allow_mass_delete)?,
            allow_mass_update: needed("allow_mass_update", allow_mass_update)?,
            // whoever leaves it open whether this is a trial doesn't get the real thing
            dry_run: needed("dry_run", dry_run)?,
        };
        apply(
            needed("sync_type", sync_type)?,
            needed("entity_type", entity_type)?,
            options,
        )
    };
    JsonB(asked().unwrap_or_else(|e| raise(e)))
}

/// `sync_undo(history_id) → jsonb`. Triggers of a bound relation run by that, and what they leave in a session (prepared statements,
/// locks, temporary tables) is not to be left in the caller's.
#[pg_extern(volatile)]
fn sync_undo(history_id: Option<pgrx::Uuid>) -> JsonB {
    let asked = || {
        let history = needed("history_id", history_id)?.to_string();
        call::run("", Job::Undo { history })
    };
    JsonB(asked().unwrap_or_else(|e| raise(e)))
}

fn apply(sync_type: &str, entity_type: &str, options: ApplyOptions) -> Result<Value> {
    if entity_type.trim().eq_ignore_ascii_case("all") {
        return apply_all(sync_type, options);
    }
    let entity = entity_type.parse()?;
    call::run(sync_type, Job::Apply { entity, options })
}

/// One after the other, what others refer to first; the first error ends it.
fn apply_all(sync_type: &str, options: ApplyOptions) -> Result<Value> {
    if options.preview_id.is_some() {
        return Err(Error::new(Code::Invalid, "a preview is of one entity type")
            .hint("Apply that one, or all without preview_id."));
    }
    let known: Vec<EntityType> = serde_json::from_value(call::run(sync_type, Job::Entities)?)
        .map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let mut results = Map::new();
    for entity in EntityType::IN_ORDER.into_iter().filter(|e| known.contains(e)) {
        let options = options.clone();
        let result = call::run(sync_type, Job::Apply { entity, options })?;
        results.insert(entity.name().to_owned(), result);
    }
    let all = |status: &str| results.values().all(|r| r["status"] == status);
    let status = match (all("completed"), all("failed")) {
        (true, _) => "completed",
        (_, true) => "failed",
        _ => "partial_success",
    };
    Ok(json!({ "syncType": sync_type, "status": status, "entityTypes": results }))
}
