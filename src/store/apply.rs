//! Applying the delta: the statements.

use super::run::RunKey;
use super::{row, run};
use crate::request::ApplyOptions;
use serde::Deserialize;
use serde_json::{json, Value};
use sync_engine::core::EntityType;
use sync_engine::error::Result;

/// What an apply is going to do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    pub history_id: String,
    /// How many of each class; 0 for those that are left out.
    pub new: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Under which name the records were noted, and the numbers of the parts.
    pub set: String,
    pub parts: Vec<i32>,
    pub include: Value,
}

/// A class of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    New,
    Updated,
    Deleted,
}

impl Class {
    pub const fn name(self) -> &'static str {
        match self {
            Class::New => "new",
            Class::Updated => "updated",
            Class::Deleted => "deleted",
        }
    }
}

/// What one part came to.
#[derive(Debug, Deserialize)]
pub struct Batch {
    pub change: Class,
    pub done: u64,
    /// Records that the local relation refused, with its reasons.
    pub failures: Vec<Value>,
    /// Written, and yet not what was sent: how many, and what became of some of them.
    #[serde(default)]
    pub unequal: u64,
    #[serde(default)]
    pub warnings: Vec<Value>,
    /// Gone in the remote, but another connector has them: the link ended, the row stayed.
    #[serde(default)]
    pub kept: u64,
}

/// Checks what is to be done and enters it into the history.
pub fn begin(key: &RunKey, entity: EntityType, options: &ApplyOptions) -> Result<Planned> {
    let wanted = json!({
        "new": options.new, "updated": options.updated, "deleted": options.deleted,
        "previewId": options.preview_id, "allowMassDelete": options.allow_mass_delete,
        "allowMassUpdate": options.allow_mass_update, "dryRun": options.dry_run,
    });
    row(
        "SELECT sync_apply_begin($1::uuid, $2, $3, $4::jsonb, $5, $6)::text",
        &[
            key.org.as_str().into(),
            key.sync_type.as_str().into(),
            entity.name().into(),
            wanted.to_string().into(),
            key.sync_id.as_str().into(),
            key.user_id.as_deref().into(),
        ],
    )
}

/// Writes one part of what was planned.
pub fn batch(key: &RunKey, entity: EntityType, planned: &Planned, part: i32) -> Result<Batch> {
    row(
        "SELECT sync_apply_batch($1::uuid, $2, $3, $4::uuid, $5, $6::uuid)::text",
        &[
            key.org.as_str().into(),
            key.connector.into(),
            (entity as i16).into(),
            planned.set.as_str().into(),
            part.into(),
            planned.history_id.as_str().into(),
        ],
    )
}

/// Writes down how it ended.
pub fn end(key: &RunKey, history: &str, status: &str, duration_ms: u64, facts: &Value) -> Result<()> {
    run(
        "SELECT sync_apply_end($1::uuid, $2::uuid, $3, $4, $5::jsonb)",
        &[
            key.org.as_str().into(),
            history.into(),
            status.into(),
            (duration_ms as i64).into(),
            facts.to_string().into(),
        ],
    )
}

/// Takes back what was written under an entry of the history; of that user's histories alone, where one is given.
pub fn take_back(key: &RunKey, history: &str, only_of: Option<&str>) -> Result<Value> {
    row(
        "SELECT sync_take_back($1::uuid, $2::uuid, $3, $4)::text",
        &[
            key.org.as_str().into(),
            history.into(),
            key.user_id.as_deref().into(),
            only_of.into(),
        ],
    )
}
