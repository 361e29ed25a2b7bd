//! What remotes send of their own accord: who sent it, and which record it names. How, each kind knows. Nothing of its
//! content is believed but the name of the record, which is then read from the remote.

use super::json;
use crate::core::{Delivery, EntityType};
use crate::error::{Code, Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The unsigned greeting of a webhook that was just made.
    Ping { webhook: String },
    /// Properly sent, and about nothing that is kept here.
    Ignored { topic: String },
    /// The remote's own refusal in the place of the record: whom the webhook belongs to may not view it.
    Refused { topic: String, code: String },
    /// Somebody who knows the secret says that this record has changed.
    Changed(Delivery),
    /// The same, sent before the change is committed there: to be read by a later pull.
    Hint {
        topic: String,
        entities: &'static [EntityType],
        external_id: String,
    },
}

/// HTTP headers, whose names know no case.
#[derive(Debug)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// From `{name: value}`; of a list of values (as some frameworks have it) the first counts.
    pub(super) fn parse(headers: &Value) -> Result<Self> {
        let map = headers.as_object().ok_or_else(|| {
            Error::new(Code::Invalid, "headers must be a JSON object")
                .hint("Pass the request's headers as {\"name\": \"value\", ...}.")
        })?;
        let text = |value: &Value| match value {
            Value::Array(values) => values.first().and_then(Value::as_str).map(str::to_owned),
            value => value.as_str().map(str::to_owned),
        };
        let named = map
            .iter()
            .filter_map(|(name, value)| Some((name.trim().to_ascii_lowercase(), text(value)?)));
        Ok(Headers(named.collect()))
    }

    /// A header that is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// The body as a JSON object.
pub(super) fn object(body: &str) -> Result<Value> {
    json::parse(body.as_bytes())
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            Error::new(Code::Invalid, "the webhook's body is no JSON object")
                .hint("Pass the request's body byte by byte as it came.")
        })
}

/// A record's id: a positive number.
pub(super) fn id_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    text.parse::<u64>()
        .ok()
        .filter(|id| *id > 0)
        .map(|id| id.to_string())
}

/// The error for a body without the id of its record.
pub(super) fn no_id() -> Error {
    Error::new(Code::Invalid, "the webhook's body names no record")
        .hint("It must hold the record's id; a payload that a plugin has changed can't be used.")
}

/// The error where the credentials hold no secret; `how` says what to do.
pub(super) fn no_secret(how: &str) -> Error {
    Error::new(Code::NotReady, "the connector knows no webhook secret").hint(how)
}
