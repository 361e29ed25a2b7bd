//! Records: fingerprint, match key, difference. The same code serves both sides.

use crate::report::raise;
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{Map, Value};
use sync_engine::core as engine;
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// `sync_fingerprint(entity_type, record jsonb) → uuid`
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_fingerprint(entity_type: &str, record: JsonB) -> pgrx::Uuid {
    let fingerprint = parse(entity_type, &record).map(|(entity, map)| engine::fingerprint(entity, map));
    pgrx::Uuid::from_bytes(fingerprint.unwrap_or_else(|e| raise(e)).0)
}

/// `sync_match_key(entity_type, record jsonb) → text`; NULL where the record has none.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_match_key(entity_type: &str, record: JsonB) -> Option<String> {
    parse(entity_type, &record)
        .map(|(entity, map)| engine::match_key(entity, map))
        .unwrap_or_else(|e| raise(e))
}

/// `sync_diff(entity_type, old jsonb, new jsonb) → jsonb`: {field: {old, new}} of the compared fields.
#[pg_extern(immutable, parallel_safe)]
fn sync_diff(entity_type: &str, old: Option<JsonB>, new: Option<JsonB>) -> JsonB {
    let empty = || JsonB(Value::Object(Map::new()));
    let (old, new) = (old.unwrap_or_else(empty), new.unwrap_or_else(empty));
    let diff = parse(entity_type, &old)
        .and_then(|(entity, old)| Ok(engine::diff(entity, old, parse(entity_type, &new)?.1)));
    JsonB(Value::Object(diff.unwrap_or_else(|e| raise(e))))
}

/// `sync_plain(text) → text`: as records are compared, and in lower case; what searches look through.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_plain(text: &str) -> String {
    match engine::normalise_value(engine::Kind::Email, &Value::from(text)) {
        Some(Value::String(plain)) => plain,
        _ => String::new(),
    }
}

fn parse<'a>(entity_type: &str, record: &'a JsonB) -> Result<(EntityType, &'a Map<String, Value>)> {
    let map = record.0.as_object().ok_or_else(|| {
        Error::new(Code::Invalid, "a record must be a JSON object")
            .hint("to_jsonb(row) makes one of a table's row.")
    })?;
    Ok((entity_type.parse()?, map))
}
