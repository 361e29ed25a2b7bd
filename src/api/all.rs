//! `sync_all`: every entity type of a connector.

use super::json::Json;
use super::needed;
use super::pull::parse_mode;
use crate::report::raise;
use crate::worker::{self, Finished, Job, Mode};
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{json, Map, Value};
use std::time::Instant;
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::ConnectorKind;

/// Entity types that are pulled at once, where there are places for as many.
const AT_ONCE: usize = 3;

/// `sync_all(sync_type, mode default 'incremental') → jsonb`
#[pg_extern(volatile)]
fn sync_all(sync_type: Option<&str>, mode: default!(Option<&str>, "'incremental'")) -> JsonB {
    let done = parse_mode(mode).and_then(|mode| all(needed("sync_type", sync_type)?, mode));
    JsonB(done.unwrap_or_else(|e| raise(e)))
}

/// `sync_kind_entities(kind) → text[]`: in the order in which they are pulled; none for an unknown kind.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_kind_entities(kind: &str) -> Vec<String> {
    in_order(
        kind.parse::<ConnectorKind>()
            .map(ConnectorKind::entities)
            .unwrap_or_default(),
    )
}

/// `sync_connector_entities(kind, settings) → text[]`: those that a connector with these settings is for.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_connector_entities(kind: &str, settings: Json) -> Vec<String> {
    let settings = settings.value("the settings").unwrap_or_else(|e| raise(e));
    let kind = kind.parse::<ConnectorKind>();
    in_order(&kind.and_then(|kind| kind.chosen(&settings)).unwrap_or_default())
}

fn in_order(known: &[EntityType]) -> Vec<String> {
    let entities = EntityType::IN_ORDER
        .iter()
        .filter(|entity| known.contains(entity));
    entities.map(|entity| entity.name().to_owned()).collect()
}

fn all(sync_type: &str, mode: Mode) -> Result<Value> {
    let (begun, started_at) = (Instant::now(), chrono::Utc::now());
    // asked of a worker, as every other question about the connector: a look at its table would hold locks on it for
    // as long as the pulls take
    let known = worker::run_patiently(sync_type, Job::Entities, None)?;
    let known: Vec<EntityType> =
        serde_json::from_value(known).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let entities: Vec<EntityType> = EntityType::IN_ORDER
        .into_iter()
        .filter(|entity| known.contains(entity))
        .collect();
    let jobs = entities.iter().map(|entity| Job::Pull {
        entity: *entity,
        mode,
    });
    let finished = worker::run_together(sync_type, jobs.collect(), AT_ONCE)?;
    let failed = finished.iter().filter(|one| one.outcome.is_err()).count();
    let is_partial = |pulled: &Value| pulled["status"] == "partial";
    let status = match failed {
        0 if finished.iter().flat_map(|one| &one.outcome).any(is_partial) => "partial",
        0 => "completed",
        n if n == entities.len() => "failed",
        _ => "partial",
    };
    let types: Map<String, Value> = entities
        .iter()
        .zip(&finished)
        .map(|(entity, one)| (entity.name().to_owned(), report(one)))
        .collect();
    Ok(json!({
        "syncType": sync_type,
        "status": status,
        "entityTypes": types,
        "startedAt": started_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "durationMs": begun.elapsed().as_millis() as u64,
    }))
}

/// One entity type: what `sync_pull` would have answered, or why it failed.
fn report(one: &Finished) -> Value {
    let mut report = match &one.outcome {
        Ok(pulled) => pulled.as_object().cloned().unwrap_or_default(),
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
    Value::Object(report)
}
