//! Taking values out of WooCommerce's JSON.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

/// Canonical fields under construction.
pub(super) type Fields = Map<String, Value>;

/// Sets a field, unless there is nothing in the value (null, `""`).
pub(super) fn put(out: &mut Fields, name: &str, value: &Value) {
    let nothing = value.is_null() || value.as_str() == Some("");
    if !nothing {
        out.insert(name.to_owned(), value.clone());
    }
}

/// Sets fields that are called the same on both sides.
pub(super) fn put_all(out: &mut Fields, row: &Value, names: &[&str]) {
    for name in names {
        put(out, name, &row[*name]);
    }
}

/// Sets the fields of an address.
pub(super) fn put_address(out: &mut Fields, prefix: &str, address: &Value, names: &[&str]) {
    for name in names {
        put(out, &[prefix, "_", name].concat(), &address[*name]);
    }
}

/// Sets a list, unless it is empty.
pub(super) fn put_list(out: &mut Fields, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        out.insert(name.to_owned(), Value::Array(items));
    }
}

/// Sets a reference to another record. 0 means none.
pub(super) fn put_reference(out: &mut Fields, name: &str, value: &Value) {
    if let Some(id) = reference(value) {
        out.insert(name.to_owned(), Value::String(id));
    }
}

/// Sets a time from a `*_gmt` field.
pub(super) fn put_time(out: &mut Fields, name: &str, value: &Value) {
    if let Some(time) = gmt(value) {
        out.insert(
            name.to_owned(),
            Value::String(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
        );
    }
}

/// Sets `custom` from the meta data. A key that occurs more than once becomes a list.
pub(super) fn put_custom(out: &mut Fields, meta_data: &Value) {
    let mut all: Map<String, Value> = Map::new();
    let mut lists: Vec<String> = Vec::new();
    for entry in elements(meta_data) {
        let value = &entry["value"];
        let Some(key) = entry["key"].as_str().filter(|key| !key.is_empty()) else {
            continue;
        };
        if value.is_null() || value.as_str() == Some("") {
            continue;
        }
        match all.get_mut(key) {
            None => drop(all.insert(key.to_owned(), value.clone())),
            Some(Value::Array(values)) if lists.iter().any(|list| list == key) => values.push(value.clone()),
            Some(first) => {
                *first = Value::Array(vec![first.take(), value.clone()]);
                lists.push(key.to_owned());
            }
        }
    }
    if !all.is_empty() {
        out.insert("custom".to_owned(), Value::Object(all));
    }
}

/// The elements of a list; none where it is no list.
pub(super) fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// An id as text. 0 and "" mean none.
pub(super) fn reference(value: &Value) -> Option<String> {
    let id = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    Some(id).filter(|id| !id.is_empty() && id != "0")
}

/// The time of a `*_gmt` field, which carries no offset.
pub(super) fn gmt(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim_end_matches('Z');
    let naive: NaiveDateTime = text.parse().ok()?;
    Some(naive.and_utc())
}
