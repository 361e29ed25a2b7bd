//! Taking values out of WooCommerce's JSON. A value of another JSON type than it has to be is an error of its record: taken for
//! nothing, it would empty the field, and the next apply the local row's.

use crate::error::{Code, Error, Result};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

/// Canonical fields under construction.
pub(super) type Fields = Map<String, Value>;

/// The error for a value of the wrong JSON type.
pub(super) fn misfit(name: &str, value: &Value, expected: &str) -> Error {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Error::new(Code::Nonsense, format!("{name} is {found}, not {expected}"))
        .hint("A plugin of the shop may change its answers.")
}

/// A value that is one: texts, numbers, true and false stand for one another in PHP. None where there is nothing in it
/// (null, `""`).
pub(super) fn scalar<'v>(name: &str, value: &'v Value) -> Result<Option<&'v Value>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::Array(_) | Value::Object(_) => Err(misfit(name, value, "a single value")),
        _ => Ok(Some(value)),
    }
}

/// A value as text; empty where there is nothing in it.
pub(super) fn text(name: &str, value: &Value) -> Result<String> {
    Ok(match scalar(name, value)? {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    })
}

/// Sets a field, unless there is nothing in the value (null, `""`).
pub(super) fn put(out: &mut Fields, name: &str, value: &Value) -> Result<()> {
    if let Some(value) = scalar(name, value)? {
        out.insert(name.to_owned(), value.clone());
    }
    Ok(())
}

/// Sets fields that are called the same on both sides.
pub(super) fn put_all(out: &mut Fields, row: &Value, names: &[&str]) -> Result<()> {
    names.iter().try_for_each(|name| put(out, name, &row[*name]))
}

/// Sets fields of a part, with a prefix.
pub(super) fn put_part(out: &mut Fields, prefix: &str, part: &Value, names: &[&str]) -> Result<()> {
    names
        .iter()
        .try_for_each(|name| put(out, &[prefix, name].concat(), &part[*name]))
}

/// Sets a list, unless it is empty.
pub(super) fn put_list(out: &mut Fields, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        out.insert(name.to_owned(), Value::Array(items));
    }
}

/// Sets a reference to another record. 0 means none.
pub(super) fn put_reference(out: &mut Fields, name: &str, value: &Value) -> Result<()> {
    if scalar(name, value)? == Some(&Value::Bool(true)) {
        return Err(misfit(name, value, "an id"));
    }
    if let Some(id) = reference(value) {
        out.insert(name.to_owned(), Value::String(id));
    }
    Ok(())
}

/// Sets a time from a `*_gmt` field.
pub(super) fn put_time(out: &mut Fields, name: &str, value: &Value) -> Result<()> {
    if !matches!(value, Value::Null | Value::String(_) | Value::Bool(false)) {
        return Err(misfit(name, value, "a time"));
    }
    if let Some(time) = gmt(value) {
        out.insert(
            name.to_owned(),
            Value::String(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
        );
    }
    Ok(())
}

/// Sets `custom` from the meta data. A key that occurs more than once becomes a list.
pub(super) fn put_custom(out: &mut Fields, row: &Value) -> Result<()> {
    let mut all: Map<String, Value> = Map::new();
    let mut lists: Vec<String> = Vec::new();
    for entry in objects(row, "meta_data")? {
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
    Ok(())
}

/// The elements of a list; none where the version has no such field. PHP sends a list as an object once an element was
/// taken out of it: its values, by their places.
pub(super) fn elements<'v>(row: &'v Value, name: &str) -> Result<Vec<&'v Value>> {
    match row.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.iter().collect()),
        Some(Value::Object(map)) => {
            let mut items: Vec<(&String, &Value)> = map.iter().collect();
            items.sort_by_key(|(key, _)| (key.parse::<u64>().unwrap_or(u64::MAX), *key));
            Ok(items.into_iter().map(|(_, item)| item).collect())
        }
        Some(other) => Err(misfit(name, other, "a list")),
    }
}

/// The elements of a list of objects.
pub(super) fn objects<'v>(row: &'v Value, name: &str) -> Result<Vec<&'v Value>> {
    let items = elements(row, name)?;
    match items.iter().find(|item| !item.is_object()) {
        Some(other) => Err(misfit(&format!("an element of {name}"), other, "an object")),
        None => Ok(items),
    }
}

/// A part that every record has, with keys for its empty fields too; null where the version has none. An empty list or object
/// is none: it would empty all of them.
pub(super) fn object<'v>(row: &'v Value, name: &str) -> Result<&'v Value> {
    match &row[name] {
        Value::Object(keys) if keys.is_empty() => Err(misfit(name, &row[name], "one with its fields")),
        part @ (Value::Object(_) | Value::Null) => Ok(part),
        other => Err(misfit(name, other, "an object")),
    }
}

/// An image; null where there is none, whatever PHP has for that: no, an empty text or its one empty array.
pub(super) fn image(row: &Value) -> Result<&Value> {
    match &row["image"] {
        Value::Array(items) if items.is_empty() => Ok(&Value::Null),
        Value::String(text) if text.is_empty() => Ok(&Value::Null),
        image @ (Value::Object(_) | Value::Null | Value::Bool(false)) => Ok(image),
        other => Err(misfit("image", other, "an object")),
    }
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
