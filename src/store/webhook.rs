//! Deliveries of webhooks, and what the ledger knows of the record that one names.

use super::ledger::Ledger;
use super::run::RunKey;
use super::{json, row, run};
use serde::Deserialize;
use sync_engine::core::{Delivery, EntityType};
use sync_engine::error::{Code, Error, Result};

/// A record as the ledger holds it.
#[derive(Debug, Default, Deserialize)]
pub struct Held {
    pub parent_id: Option<String>,
    pub match_key: Option<String>,
    /// The remote still had it when it was last read.
    pub is_live: bool,
    /// As the delta shows it.
    pub change: Option<String>,
}

/// The record of that id; None where the ledger has never heard of it.
pub fn held(ledger: &Ledger, id: &str) -> Result<Option<Held>> {
    let found = json(
        "SELECT json_build_object('parent_id', parent_id, 'match_key', match_key, 'change', change,
                                  'is_live', remote_fingerprint IS NOT NULL)::text
         FROM sync_record WHERE org_id = $1::uuid AND connector = $2 AND entity = $3 AND external_id = $4",
        &[
            ledger.org.as_str().into(),
            ledger.connector.into(),
            (ledger.entity as i16).into(),
            id.into(),
        ],
    )?;
    found
        .map(serde_json::from_value)
        .transpose()
        .map_err(|e| Error::new(Code::Internal, e.to_string()))
}

/// Links what can be linked by these match keys.
pub fn link(ledger: &Ledger, keys: &[String]) -> Result<()> {
    run(
        "SELECT sync_match_keys($1::uuid, $2, $3, $4)",
        &[
            ledger.org.as_str().into(),
            ledger.connector.into(),
            (ledger.entity as i16).into(),
            keys.to_vec().into(),
        ],
    )
}

/// Whether this delivery, or a replay of it, was carried out.
pub fn is_seen(key: &RunKey, delivery: &Delivery) -> Result<bool> {
    row(
        "SELECT to_json(sync_webhook_seen($1::uuid, $2, $3, $4, $5, $6, $7))::text",
        &[
            key.org.as_str().into(),
            key.connector.into(),
            delivery.id.as_str().into(),
            delivery.signature.as_str().into(),
            delivery.topic.as_str().into(),
            (delivery.entity as i16).into(),
            delivery.external_id.as_str().into(),
        ],
    )
}

/// Remembers a delivery as carried out, or as one that the next pull covers.
pub fn remember(key: &RunKey, delivery: &Delivery, status: &str) -> Result<()> {
    note(
        key,
        &delivery.id,
        Some(&delivery.signature),
        &delivery.topic,
        delivery.entity,
        &delivery.external_id,
        status,
    )
    .map(|_| ())
}

/// Notes a hint; false where the same one is open already.
pub fn hint(key: &RunKey, topic: &str, entity: EntityType, id: &str) -> Result<bool> {
    let name = format!("hint:{}:{topic}:{id}", entity.name());
    note(key, &name, None, topic, entity, id, "noted")
}

fn note(
    key: &RunKey,
    delivery: &str,
    signature: Option<&str>,
    topic: &str,
    entity: EntityType,
    id: &str,
    status: &str,
) -> Result<bool> {
    row(
        "SELECT to_json(sync_webhook_note($1::uuid, $2, $3, $4, $5, $6, $7, $8))::text",
        &[
            key.org.as_str().into(),
            key.connector.into(),
            delivery.into(),
            signature.into(),
            topic.into(),
            (entity as i16).into(),
            id.into(),
            status.into(),
        ],
    )
}

/// A pull that ended well has read what was named before it began.
pub fn settle_noted(key: &RunKey, entity: EntityType) -> Result<()> {
    run(
        "SELECT sync_webhook_settle($1::uuid, $2, $3)",
        &[
            key.org.as_str().into(),
            key.sync_id.as_str().into(),
            (entity as i16).into(),
        ],
    )
}
