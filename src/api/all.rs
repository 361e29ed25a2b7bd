//! `sync_all`: every entity type of a connector.

use super::needed;
use super::pull::parse_mode;
use crate::call::{self, Finished};
use crate::pg::report::raise;
use crate::request::{ApplyOptions, Job, Mode};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{json, Map, Value};
use std::time::Instant;
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// Entity types that are pulled at once, where there are places for as many.
const AT_ONCE: usize = 3;

/// `sync_all(sync_type, mode default 'incremental', apply default false) → jsonb`
#[pg_extern(volatile)]
fn sync_all(
    sync_type: Option<&str>,
    mode: default!(Option<&str>, "'incremental'"),
    apply: default!(Option<bool>, "false"),
) -> JsonB {
    let asked = || {
        let (mode, apply) = (parse_mode(mode)?, needed("apply", apply)?);
        all(needed("sync_type", sync_type)?, mode, apply)
    };
    JsonB(asked().unwrap_or_else(|e| raise(e)))
}

/// What became of an entity type.
struct Done {
    entity: EntityType,
    pull: Finished,
    /// None: it was not to be applied, or couldn't be pulled.
    apply: Option<Finished>,
}

fn all(sync_type: &str, mode: Mode, apply: bool) -> Result<Value> {
    let (begun, started_at) = (Instant::now(), chrono::Utc::now());
    // asked of a worker, as every other question about the connector: a look at its table would hold locks on it for
    // as long as the pulls take
    let known = call::run_patiently(sync_type, Job::Entities, None)?;
    let known: Vec<EntityType> =
        serde_json::from_value(known).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let entities = EntityType::IN_ORDER.into_iter().filter(|e| known.contains(e));
    let mut all = pull_all(sync_type, entities.collect(), mode)?;
    if apply {
        apply_all(sync_type, &mut all)?;
    }
    let types: Map<String, Value> = all
        .iter()
        .map(|one| (one.entity.name().to_owned(), report(one)))
        .collect();
    Ok(json!({
        "syncType": sync_type,
        "status": status(&all),
        "entityTypes": types,
        "startedAt": started_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "durationMs": begun.elapsed().as_millis() as u64,
    }))
}

fn pull_all(sync_type: &str, entities: Vec<EntityType>, mode: Mode) -> Result<Vec<Done>> {
    let job = |entity: &EntityType| Job::Pull {
        entity: *entity,
        mode,
    };
    let pulled = call::run_together(sync_type, entities.iter().map(job).collect(), AT_ONCE)?;
    let done = |(entity, pull)| Done {
        entity,
        pull,
        apply: None,
    };
    Ok(entities.into_iter().zip(pulled).map(done).collect())
}

/// One after the other, what others refer to first; as `sync_select` says, and with no leave for anything unusual.
fn apply_all(sync_type: &str, all: &mut [Done]) -> Result<()> {
    let is_pulled = |one: &&mut Done| one.pull.outcome.is_ok();
    for one in all.iter_mut().filter(is_pulled) {
        let job = Job::Apply {
            entity: one.entity,
            options: ApplyOptions::default(),
        };
        one.apply = call::run_together(sync_type, vec![job], 1)?.pop();
    }
    Ok(())
}

fn status(all: &[Done]) -> &'static str {
    let parts = || {
        all.iter()
            .flat_map(|one| [Some(&one.pull), one.apply.as_ref()])
            .flatten()
    };
    let went_well = |part: &Finished| part.outcome.as_ref().is_ok_and(is_whole);
    if parts().all(went_well) {
        "completed"
    } else if all.iter().all(|one| one.pull.outcome.is_err()) {
        "failed"
    } else {
        "partial"
    }
}

/// Whether nothing was left out of what a pull, or an apply, tells of.
fn is_whole(told: &Value) -> bool {
    matches!(told["status"].as_str(), Some("success" | "completed"))
}

/// One entity type: what `sync_pull` would have answered, and `sync_apply` below `apply`, or why it failed.
fn report(one: &Done) -> Value {
    let mut report = told(&one.pull);
    if let Some(applied) = &one.apply {
        report.insert("apply".to_owned(), told(applied).into());
    }
    Value::Object(report)
}

fn told(one: &Finished) -> Map<String, Value> {
    let mut report = match &one.outcome {
        Ok(told) => told.as_object().cloned().unwrap_or_default(),
        Err(error) => {
            let mut failed = Map::new();
            failed.insert("status".to_owned(), "failed".into());
            failed.insert(
                "error".to_owned(),
                json!({ "sqlstate": error.code.sqlstate(), "message": error.message,
                        "detail": error.detail, "hint": error.hint }),
            );
            failed
        }
    };
    report.remove("syncType");
    report.remove("entityType");
    report.insert("attempts".to_owned(), one.attempts.into());
    report.insert("durationMs".to_owned(), (one.took.as_millis() as u64).into());
    report
}
