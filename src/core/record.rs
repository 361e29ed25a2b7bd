//! What a source hands over: one record of a remote, in canonical form.

use super::canon;
use super::entity::EntityType;
use super::field::Kind;
use super::normalise::{match_key, strip_nul_map};
use super::schema;
use super::time;
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
    /// Fields of `custom` that the remote can't show at the moment: what is known of them stays.
    pub withheld: Vec<String>,
}

impl Record {
    /// A record with what can be told from its content: match key and time of change (from
    /// `modified_at`). What stands for nothing (null, "", Odoo's false, `0000-00-00`) is left out, as a column would
    /// take it for something; so are NUL characters, which Postgres can't store.
    pub fn new(entity: EntityType, external_id: impl Into<String>, mut data: Map<String, Value>) -> Self {
        data.retain(|name, value| !value.is_null() && !is_nothing(entity, name, value));
        strip_nul_map(&mut data);
        Record {
            external_id: external_id.into(),
            parent_id: None,
            match_key: match_key(entity, &data),
            modified_at: data
                .get("modified_at")
                .and_then(Value::as_str)
                .and_then(time::parse),
            data,
            withheld: Vec::new(),
        }
    }

    /// The same as a part of another record.
    #[must_use]
    pub fn with_parent(mut self, parent_id: impl Into<String>) -> Self {
        self.parent_id = Some(parent_id.into());
        self
    }
}

/// Whether a field that holds one value holds none. A flag that is false says something to a column.
fn is_nothing(entity: EntityType, name: &str, value: &Value) -> bool {
    schema::field(entity, name).is_some_and(|field| match field.kind {
        Kind::Text | Kind::Email | Kind::Number | Kind::Time => canon::canon(field.kind, value).is_none(),
        Kind::Bool | Kind::Flag | Kind::Set | Kind::Sequence | Kind::List(_) | Kind::Any => false,
    })
}

/// That a record exists, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    pub external_id: String,
    pub modified_at: Option<DateTime<Utc>>,
    /// How many lines it has, where the remote told.
    pub lines: Option<usize>,
    /// What it shows of the records that it names, by field; null where it names none. Where the remote told.
    pub named: Option<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_knows_what_its_content_tells() {
        let text =
            r#"{"email":" A@x.org","name":"n\u0000","phone":null,"modified_at":"2026-01-01 10:00:00"}"#;
        let data = serde_json::from_str(text).unwrap();
        let record = Record::new(EntityType::Customers, "7", data).with_parent("3");
        assert_eq!(record.match_key.as_deref(), Some("a@x.org"));
        assert_eq!(record.modified_at.map(|t| t.timestamp()), Some(1_767_261_600));
        assert_eq!(record.parent_id.as_deref(), Some("3"));
        assert_eq!(record.data.get("name").and_then(Value::as_str), Some("n"));
        assert!(!record.data.contains_key("phone"));
    }

    #[test]
    fn what_stands_for_nothing_is_left_out() {
        let data = serde_json::json!({"phone": false, "name": " ", "company": "", "created_at": "0000-00-00 00:00:00",
                                      "is_active": false, "custom": {"a": false}, "role": "0"});
        let record = Record::new(EntityType::Customers, "7", data.as_object().unwrap().clone());
        let left: Vec<&str> = record.data.keys().map(String::as_str).collect();
        assert_eq!(left, ["custom", "is_active", "role"]);
    }
}
