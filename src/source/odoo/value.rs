//! Taking values out of Odoo's rows. `false` stands for nothing in every field but those that hold a yes or no.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Value};

/// Canonical fields under construction.
pub(super) type Fields = Map<String, Value>;

/// Sets a field from a text or a number.
pub(super) fn put(out: &mut Fields, name: &str, value: &Value) {
    let something = value.is_number() || value.as_str().is_some_and(|text| !text.is_empty());
    if something {
        out.insert(name.to_owned(), value.clone());
    }
}

/// Sets fields: ours, theirs.
pub(super) fn put_all(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        put(out, ours, &row[*theirs]);
    }
}

/// Sets a field from the first of these that has something.
pub(super) fn put_first(out: &mut Fields, name: &str, row: &Value, theirs: &[&str]) {
    for their in theirs {
        if !out.contains_key(name) {
            put(out, name, &row[*their]);
        }
    }
}

/// Sets a field from a yes or no.
pub(super) fn put_flag(out: &mut Fields, name: &str, value: &Value) {
    if value.is_boolean() {
        out.insert(name.to_owned(), value.clone());
    }
}

/// Sets a field to the id that a many2one holds.
pub(super) fn put_reference(out: &mut Fields, name: &str, value: &Value) {
    if let Some(id) = reference(value) {
        out.insert(name.to_owned(), Value::String(id.to_string()));
    }
}

/// Sets a field to the label that a many2one shows.
pub(super) fn put_label(out: &mut Fields, name: &str, value: &Value) {
    put(out, name, &value[1]);
}

/// Sets references and their labels: our prefix, theirs.
pub(super) fn put_named(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (prefix, theirs) in names {
        put_reference(out, &format!("{prefix}_external_id"), &row[*theirs]);
        put_label(out, &format!("{prefix}_name"), &row[*theirs]);
    }
}

/// Sets a field from a time. Days stay days.
pub(super) fn put_time(out: &mut Fields, name: &str, value: &Value) {
    match time(value) {
        Some(time) => {
            let text = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            out.insert(name.to_owned(), Value::String(text));
        }
        None => put(out, name, value),
    }
}

/// Sets times: ours, theirs.
pub(super) fn put_times(out: &mut Fields, row: &Value, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        put_time(out, ours, &row[*theirs]);
    }
}

/// The id that a many2one holds, with its label or without.
pub(super) fn reference(value: &Value) -> Option<u64> {
    let id = value.get(0).unwrap_or(value);
    id.as_u64().filter(|id| *id > 0)
}

/// The ids that a list holds.
pub(super) fn references(value: &Value) -> impl Iterator<Item = u64> + '_ {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64)
}

/// A time as Odoo writes it: UTC, without saying so.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    let naive = NaiveDateTime::parse_from_str(value.as_str()?, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(naive.and_utc())
}
