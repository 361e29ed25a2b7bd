//! What a source hands over: one record of a remote, in canonical form.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// One remote record in canonical form.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The remote's id, as text.
    pub external_id: String,
    /// The id of the record this one belongs to (a variation's product), if any.
    pub parent_id: Option<String>,
    /// What a local row is matched by (e-mail, SKU, number), normalised; None where the record has none.
    pub match_key: Option<String>,
    /// When the remote says it changed, UTC; None where the remote doesn't know.
    pub modified_at: Option<DateTime<Utc>>,
    /// Canonical fields (see `core::schema`), null ones left out.
    pub data: Map<String, Value>,
}

/// That a record exists, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    pub external_id: String,
    pub modified_at: Option<DateTime<Utc>>,
}
