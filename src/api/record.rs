//! Records: fingerprint, match key, difference. The same code serves both sides.

use super::json::Json;
use super::needed;
use crate::pg::report::raise;
use pgrx::prelude::*;
use pgrx::{Array, JsonB};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use sync_engine::core as engine;
use sync_engine::core::{Comparison, EntityType, Layout, Mapping};
use sync_engine::error::Result;

/// How many comparisons and layouts a session remembers: those of one statement are a handful.
const REMEMBERED: usize = 16;

/// `sync_fingerprint(entity_type, record jsonb) → uuid`; the entity type may name fields: `customers:email,name`.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_fingerprint(entity_type: &str, record: Json) -> pgrx::Uuid {
    let made =
        comparison(entity_type).and_then(|c| Ok(engine::fingerprint(&c, &read(entity_type, &record)?)));
    pgrx::Uuid::from_bytes(made.unwrap_or_else(|e| raise(e)).0)
}

/// `sync_depth(value jsonb) → int`: how deep it is nested.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_depth(value: Json) -> i32 {
    i32::try_from(value.depth()).unwrap_or(i32::MAX)
}

/// `sync_row_fingerprint(comparison, layout, texts) → uuid`: the same for a table's row, given as the texts of its
/// columns in the order of the layout's names.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_row_fingerprint<'a>(comparison: &str, layout: &str, texts: Array<'a, &'a str>) -> pgrx::Uuid {
    let made = layout_of(comparison, layout).map(|l| l.fingerprint(&row(&texts)));
    pgrx::Uuid::from_bytes(made.unwrap_or_else(|e| raise(e)).0)
}

/// `sync_match_key(entity_type, record jsonb) → text`; NULL where the record has none, or is a document that came from
/// another connector than that of the comparison, which may stand for the entity type.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_match_key(entity_type: &str, record: Json) -> Option<String> {
    comparison(entity_type)
        .and_then(|c| Ok(engine::match_key_by(&c, &read(entity_type, &record)?)))
        .unwrap_or_else(|e| raise(e))
}

/// `sync_row_match_key(comparison, layout, texts) → text`: the same for a table's row.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_row_match_key<'a>(comparison: &str, layout: &str, texts: Array<'a, &'a str>) -> Option<String> {
    layout_of(comparison, layout)
        .map(|l| l.match_key(&row(&texts)))
        .unwrap_or_else(|e| raise(e))
}

/// `sync_match_fields(entity_type) → text[]`: what records are matched by, best first.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_match_fields(entity_type: &str) -> Vec<&'static str> {
    let entity: EntityType = entity_type.parse().unwrap_or_else(|e| raise(e));
    engine::match_fields(entity).to_vec()
}

/// `sync_open_change(ambiguous, external_id, remote_fingerprint, local_fingerprint, settled) → text`: what the two sides of a
/// record come to, NULL where they agree, or are the pair that was settled. The ledger's generated column, and no expression of
/// SQL: Postgres reads the text of a generated column's expression anew for each statement, which took a tenth of an update
/// of one row.
#[pg_extern(immutable, parallel_safe)]
fn sync_open_change(
    ambiguous: bool,
    external_id: Option<&str>,
    remote_fingerprint: Option<pgrx::Uuid>,
    local_fingerprint: Option<pgrx::Uuid>,
    settled: Option<pgrx::Uuid>,
) -> Option<&'static str> {
    match (remote_fingerprint, local_fingerprint) {
        (None, Some(_)) if external_id.is_some() => Some("deleted"),
        (Some(_), None) if ambiguous => Some("ambiguous"),
        (Some(_), None) => Some("new"),
        (Some(remote), Some(local)) if remote != local => match settled {
            Some(settled) if settled == sync_pair(remote, local) => None,
            _ => Some("updated"),
        },
        _ => None,
    }
}

/// What a ledger of version 0.1.0 names, so that statements on local tables go on until its database is upgraded.
#[pg_extern(immutable, parallel_safe, sql = false)]
fn sync_change(
    ambiguous: bool,
    external_id: Option<&str>,
    remote_fingerprint: Option<pgrx::Uuid>,
    local_fingerprint: Option<pgrx::Uuid>,
) -> Option<&'static str> {
    sync_open_change(
        ambiguous,
        external_id,
        remote_fingerprint,
        local_fingerprint,
        None,
    )
}

/// `sync_pair(remote_fingerprint, local_fingerprint) → uuid`: this remote record beside this local row.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_pair(remote_fingerprint: pgrx::Uuid, local_fingerprint: pgrx::Uuid) -> pgrx::Uuid {
    let print = |uuid: pgrx::Uuid| engine::Fingerprint(*uuid.as_bytes());
    let pair = engine::pair(print(remote_fingerprint), print(local_fingerprint));
    pgrx::Uuid::from_bytes(pair.0)
}

/// `sync_diff(entity_type, old jsonb, new jsonb) → jsonb`: {field: {old, new}} of the compared fields.
#[pg_extern(immutable, parallel_safe)]
fn sync_diff(entity_type: Option<&str>, old: Option<Json>, new: Option<Json>) -> JsonB {
    let diff = needed("entity_type", entity_type).and_then(|entity_type| {
        let record =
            |json: Option<Json>| json.map_or_else(|| Ok(Map::new()), |json| read(entity_type, &json));
        let comparison = comparison(entity_type)?;
        Ok(engine::diff(&comparison, &record(old)?, &record(new)?))
    });
    JsonB(Value::Object(diff.unwrap_or_else(|e| raise(e))))
}

/// `sync_emptied(entity_type, old jsonb, new jsonb) → text[]`: the compared fields that hold nothing any more.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_emptied(entity_type: &str, old: Json, new: Json) -> Vec<String> {
    let emptied = comparison(entity_type).and_then(|c| {
        let (old, new) = (old.record()?, new.record()?);
        let names = engine::emptied(&c, &old, &new);
        Ok(names.into_iter().map(str::to_owned).collect())
    });
    emptied.unwrap_or_else(|e| raise(e))
}

/// `sync_plain(text) → text`: as records are compared, and in lower case; what searches look through.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_plain(text: &str) -> String {
    match engine::normalise_value(engine::Kind::Email, &Value::from(text)) {
        Some(Value::String(plain)) => plain,
        _ => String::new(),
    }
}

/// `sync_fields(entity_type) → table(position, field, kind, compared)`
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_fields(
    entity_type: &str,
) -> TableIterator<
    'static,
    (
        name!(position, i32),
        name!(field, &'static str),
        name!(kind, &'static str),
        name!(compared, bool),
    ),
> {
    let entity: EntityType = entity_type.parse().unwrap_or_else(|e| raise(e));
    let rows = (1..).zip(engine::fields(entity));
    TableIterator::new(rows.map(|(n, f)| (n, f.name, f.kind.name(), f.compared)))
}

/// `sync_spec(comparison) → text`: version and fields of a comparison in short.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_spec(comparison: &str) -> String {
    self::comparison(comparison)
        .map(|c| engine::spec(&c))
        .unwrap_or_else(|e| raise(e))
}

/// `sync_mapped(entity_type, record jsonb, mappings jsonb) → jsonb`: a remote record with its mapped fields.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_mapped(entity_type: &str, record: Json, mappings: Json) -> JsonB {
    let mapped = entity_type.parse().and_then(|entity: EntityType| {
        let mappings = Mapping::list(entity, &mappings.value("the mapping")?)?;
        let mut record = record.record()?;
        engine::apply_mappings(entity, &mappings, &mut record);
        Ok(record)
    });
    JsonB(Value::Object(mapped.unwrap_or_else(|e| raise(e))))
}

/// A call that names the fields that are compared is about records of the ledger or of a local relation: one of these
/// that is too deep or too large must not fail the statement over all of them. Any other record was given, and is told.
fn read(entity_type: &str, record: &Json) -> Result<Map<String, Value>> {
    match entity_type.contains(':') {
        true => record.record(),
        false => record.given_record(),
    }
}

pub(super) fn row<'a, 'b>(texts: &'a Array<'b, &'b str>) -> Vec<Option<Cow<'a, str>>> {
    texts.iter().map(|text| text.map(Cow::Borrowed)).collect()
}

type Memory<T> = RefCell<Vec<(String, String, Rc<T>)>>;

/// Parsing a comparison costs as much as ten fingerprints: a statement over many rows does it once.
fn remembered<T>(memory: &Memory<T>, a: &str, b: &str, make: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
    let mut known = memory.borrow_mut();
    if let Some((.., found)) = known.iter().find(|(x, y, _)| x == a && y == b) {
        return Ok(found.clone());
    }
    let made = Rc::new(make()?);
    if known.len() >= REMEMBERED {
        known.remove(0);
    }
    known.push((a.to_owned(), b.to_owned(), made.clone()));
    Ok(made)
}

fn comparison(text: &str) -> Result<Rc<Comparison>> {
    thread_local! {
        static KNOWN: Memory<Comparison> = const { RefCell::new(Vec::new()) };
    }
    KNOWN.with(|known| remembered(known, text, "", || text.parse()))
}

pub(super) fn layout_of(comparison: &str, names: &str) -> Result<Rc<Layout>> {
    thread_local! {
        static KNOWN: Memory<Layout> = const { RefCell::new(Vec::new()) };
    }
    KNOWN.with(|known| {
        remembered(known, comparison, names, || {
            Ok(Layout::new(comparison.parse()?, names))
        })
    })
}
