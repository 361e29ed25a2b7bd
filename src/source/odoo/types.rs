//! Whether values are what Odoo says its fields are. Customised methods answer with other things at times; what has the wrong type
//! must not be taken for an empty value.

use super::known::is_custom;
use super::value::day;
use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value;
use std::collections::HashMap;

/// The first field of a row that holds something else than its type allows, and a word about it.
pub(super) fn oddity(row: &Value, types: &HashMap<String, String>) -> Option<String> {
    let fields = row.as_object()?;
    // what users have added is kept as it comes
    let odd = fields
        .iter()
        .filter(|(name, _)| !is_custom(name))
        .find(|(name, value)| types.get(*name).is_some_and(|kind| !fits(kind, value)));
    odd.map(|(name, value)| {
        let shown: String = value.to_string().chars().take(40).collect();
        let kind = types.get(name).map_or("", String::as_str);
        format!("its field {name} holds {shown}, which is no {kind}")
    })
}

/// Nothing (`false`, or null) fits any type. What isn't known is taken as it comes.
fn fits(kind: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => return true,
        Value::Bool(true) => {
            return !matches!(
                kind,
                "char"
                    | "text"
                    | "html"
                    | "date"
                    | "datetime"
                    | "many2one"
                    | "one2many"
                    | "many2many"
                    | "integer"
                    | "float"
                    | "monetary"
            )
        }
        _ => {}
    }
    match kind {
        "boolean" => false,
        "integer" | "float" | "monetary" => value.is_number(),
        "char" | "text" | "html" => value.is_string() || value.is_number(),
        "selection" => value.is_string() || value.is_number(),
        "date" | "datetime" => is_time(value),
        "many2one" => is_reference(value),
        "one2many" | "many2many" => value.as_array().is_some_and(|ids| ids.iter().all(Value::is_u64)),
        _ => true,
    }
}

fn is_reference(value: &Value) -> bool {
    match value.as_array().map(Vec::as_slice) {
        Some([id, label]) => id.is_u64() && !matches!(label, Value::Array(_) | Value::Object(_)),
        Some(_) => false,
        None => value.is_u64(),
    }
}

fn is_time(value: &Value) -> bool {
    let text = day(value);
    let text = text.as_str().unwrap_or_default();
    text.parse::<NaiveDate>().is_ok() || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::recordings;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_real_servers_sent_is_not_odd() {
        for version in ["odoo17", "odoo19"] {
            let recordings = recordings(version);
            let body = |json: &Value| {
                let body = &json["response"]["body_json"];
                body.get("result").unwrap_or(body).clone()
            };
            for (name, fields) in recordings
                .iter()
                .filter(|(name, _)| name.ends_with("-fields-get"))
            {
                let model = &name[4..name.len() - "-fields-get".len()];
                let types = body(fields).as_object().cloned().unwrap_or_default();
                let types: HashMap<String, String> = types
                    .into_iter()
                    .filter_map(|(name, about)| Some((name, about["type"].as_str()?.to_owned())))
                    .collect();
                let pages = recordings
                    .iter()
                    .filter(|(name, _)| name[4..].starts_with(&format!("{model}-page")));
                for (page, rows) in pages {
                    for row in body(rows).as_array().into_iter().flatten() {
                        assert_eq!(oddity(row, &types), None, "{version} {page}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_another_type_is_odd() {
        let row = |kind: &str, value: Value| {
            let types = HashMap::from([("f".to_owned(), kind.to_owned())]);
            oddity(&json!({ "f": value, "unknown": {} }), &types)
        };
        for (kind, fine) in [
            ("char", json!("a")),
            ("char", json!(7)),
            ("boolean", json!(true)),
            ("selection", json!("sale")),
            ("integer", json!(0)),
            ("monetary", json!(1.5)),
            ("many2one", json!([7, "Ada"])),
            ("many2one", json!([7, false])),
            ("many2one", json!(7)),
            ("one2many", json!([])),
            ("many2many", json!([1, 2])),
            ("date", json!("2026-01-31")),
            ("date", json!("22-05-01")),
            ("datetime", json!("2026-01-31 10:00:00")),
            ("properties", json!([{}])),
        ] {
            assert_eq!(row(kind, fine.clone()), None, "{kind} {fine}");
            for nothing in [Value::Null, json!(false)] {
                assert_eq!(row(kind, nothing), None);
            }
        }
        for (kind, odd) in [
            ("char", json!({})),
            ("char", json!(["a"])),
            ("char", json!(true)),
            ("boolean", json!("true")),
            ("integer", json!("7")),
            ("float", json!([1.5])),
            ("many2one", json!({ "id": 7 })),
            ("many2one", json!([])),
            ("many2one", json!("7")),
            ("one2many", json!({ "1": 7 })),
            ("many2many", json!([[7, "Ada"]])),
            ("date", json!("0000-00-00")),
            ("date", json!("infinity")),
            ("date", json!(20260131)),
            ("datetime", json!("soon")),
        ] {
            let told = row(kind, odd.clone()).unwrap_or_default();
            assert!(
                told.contains("field f") && told.contains(kind),
                "{kind} {odd}: {told}"
            );
        }
    }
}
