//! Kinds of systems: what is known of them without asking one.

use super::json::Json;
use crate::pg::report::raise;
use pgrx::prelude::*;
use pgrx::JsonB;
use serde_json::{Map, Value};
use sync_engine::core::EntityType;
use sync_engine::error::Error;
use sync_engine::source::kind::Verb;
use sync_engine::source::ConnectorKind;

/// `sync_known_kinds() → (kind, entity_types, settings, credentials, writes)`: the rows of the view sync_kinds.
#[pg_extern(immutable, parallel_safe)]
fn sync_known_kinds() -> TableIterator<
    'static,
    (
        name!(kind, &'static str),
        name!(entity_types, Vec<&'static str>),
        name!(settings, JsonB),
        name!(credentials, JsonB),
        name!(writes, JsonB),
    ),
> {
    let rows = ConnectorKind::all().map(|kind| {
        (
            kind.name(),
            in_order(kind.entities()),
            JsonB(kind.described_settings()),
            JsonB(kind.described_credentials()),
            JsonB(writes(kind)),
        )
    });
    TableIterator::new(rows)
}

/// `{"customers": ["create", "update"], ...}`
fn writes(kind: ConnectorKind) -> Value {
    let verbs = |entity| {
        kind.writes(entity)
            .iter()
            .map(|verb: &Verb| verb.name().into())
            .collect()
    };
    let written = kind
        .entities()
        .iter()
        .filter(|entity| !kind.writes(**entity).is_empty());
    let written: Map<String, Value> = written
        .map(|entity| (entity.name().to_owned(), Value::Array(verbs(*entity))))
        .collect();
    Value::Object(written)
}

/// `sync_kind_entities(kind) → text[]`: in the order in which they are pulled; none for an unknown kind.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_kind_entities(kind: &str) -> Vec<&'static str> {
    let kind = kind.parse::<ConnectorKind>();
    kind.map(|kind| in_order(kind.entities())).unwrap_or_default()
}

/// `sync_connector_entities(kind, settings) → text[]`: those that a connector with these settings is for.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_connector_entities(kind: &str, settings: Json) -> Vec<&'static str> {
    let settings = settings.value("the settings").unwrap_or_else(|e| raise(e));
    let kind = kind.parse::<ConnectorKind>();
    in_order(&kind.and_then(|kind| kind.chosen(&settings)).unwrap_or_default())
}

fn in_order(known: &[EntityType]) -> Vec<&'static str> {
    let entities = EntityType::IN_ORDER.iter();
    let entities = entities.filter(|entity| known.contains(entity));
    entities.map(|entity| entity.name()).collect()
}

/// `sync_kind_fields(kind, entity_type) → text[]`: the compared fields that connectors of a kind deliver; NULL where
/// they have no such records.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_kind_fields(kind: &str, entity_type: &str) -> Option<Vec<&'static str>> {
    let (kind, entity) = kind_and_entity(kind, entity_type);
    kind.entities()
        .contains(&entity)
        .then(|| kind.fields(entity).to_vec())
}

/// `sync_kind_carried(kind, entity_type) → text[]`: the fields that they bring along, which are written but not
/// compared.
#[pg_extern(immutable, strict, parallel_safe)]
fn sync_kind_carried(kind: &str, entity_type: &str) -> Vec<&'static str> {
    let (kind, entity) = kind_and_entity(kind, entity_type);
    kind.carried(entity).to_vec()
}

fn kind_and_entity(kind: &str, entity_type: &str) -> (ConnectorKind, EntityType) {
    let parsed = kind.parse().and_then(|kind| Ok((kind, entity_type.parse()?)));
    parsed.unwrap_or_else(|e: Error| raise(e))
}
