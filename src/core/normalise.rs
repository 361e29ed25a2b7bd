//! Records in their one form: what counts as equal looks equal.
//!
//! `""`, null, missing and `false` are all absent. Numbers are canonical decimals of any precision,
//! times are RFC 3339 in UTC, text is trimmed NFC without entities, e-mail is in lower case.
//! The normalised form is for comparing and showing; what is written to a system is the record itself.

use super::canon::{self, Canon};
use super::comparison::{Comparison, SYNC_TYPE};
use super::entity::EntityType;
use super::field::Kind;
use super::schema;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All known fields of a record, compared or not, in their one form. Absent ones are left out.
pub fn normalise(entity: EntityType, record: &Map<String, Value>) -> BTreeMap<&'static str, Value> {
    schema::fields(entity)
        .iter()
        .filter_map(|f| Some((f.name, canon::of(f, record)?.into())))
        .collect()
}

/// One value as a field of that kind holds it; None where it is absent.
pub fn normalise_value(kind: Kind, value: &Value) -> Option<Value> {
    canon::canon(kind, value).map(Value::from)
}

/// What a record is matched by with one that has another id: the e-mail of a customer, the SKU of a
/// product, the number of a document, the slug (else the name) of a category, the code of a warehouse.
/// Normalised; None where the record has none, or one too long to be one (an index entry has to hold it).
pub fn match_key(entity: EntityType, record: &Map<String, Value>) -> Option<String> {
    match_fields(entity)
        .iter()
        .find_map(|name| as_match_key(canon::canon(match_kind(name), record.get(*name)?)?))
}

/// The same of a record that may have come from another connector than the one that it is compared with: then it has none.
pub fn match_key_by(comparison: &Comparison, record: &Map<String, Value>) -> Option<String> {
    let came_from = record.get(SYNC_TYPE).and_then(Value::as_str);
    match_key(comparison.entity(), record).filter(|_| comparison.may_own(came_from))
}

/// A value as a match key.
pub(super) fn as_match_key(value: Canon<'_>) -> Option<String> {
    const LONGEST: usize = 500;
    match value {
        Canon::Text(text) if text.len() <= LONGEST => Some(text.into_owned()),
        _ => None,
    }
}

/// A category without a slug is known by its name, whatever its case.
pub(super) fn match_kind(field: &str) -> Kind {
    match field {
        "email" | "name" => Kind::Email,
        _ => Kind::Text,
    }
}

/// The fields that a match key can come from, best first.
pub const fn match_fields(entity: EntityType) -> &'static [&'static str] {
    match entity {
        EntityType::Customers => &["email"],
        EntityType::Products => &["sku"],
        EntityType::Categories => &["slug", "name"],
        EntityType::Warehouses => &["code"],
        EntityType::Orders | EntityType::Purchases | EntityType::Sales | EntityType::Transfers => &["number"],
    }
}

/// Takes NUL characters out of every string in a value, keys included. Postgres can't store them, and
/// one in a product's description must not fail a page of a hundred.
pub fn strip_nul(value: &mut Value) {
    match value {
        Value::String(s) if s.contains('\0') => *s = s.replace('\0', ""),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(map) => strip_nul_map(map),
        _ => {}
    }
}

/// [`strip_nul`] for a record.
pub fn strip_nul_map(map: &mut Map<String, Value>) {
    map.values_mut().for_each(strip_nul);
    if map.keys().any(|k| k.contains('\0')) {
        let all = std::mem::take(map);
        map.extend(all.into_iter().map(|(k, v)| (k.replace('\0', ""), v)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::{from_str, json};

    fn map(v: Value) -> Map<String, Value> {
        match v {
            Value::Object(m) => m,
            other => panic!("no object: {other}"),
        }
    }

    fn one(kind: Kind, text: &str) -> Value {
        normalise_value(kind, &from_str(text).unwrap()).unwrap_or(Value::Null)
    }

    #[test]
    fn absent_is_one_thing_for_every_kind() {
        let kinds = [
            Kind::Text,
            Kind::Email,
            Kind::Number,
            Kind::Bool,
            Kind::Time,
            Kind::Set,
            Kind::Sequence,
            Kind::List(&[]),
            Kind::Any,
        ];
        for kind in kinds {
            for absent in [
                "null",
                "false",
                r#""""#,
                r#"" \u00a0 ""#,
                "[]",
                "{}",
                "[null]",
                "[[]]",
            ] {
                assert_eq!(one(kind, absent), Value::Null, "{} {absent}", kind.name());
            }
        }
    }

    #[test]
    fn numbers_keep_every_digit() {
        for form in [
            "10",
            "10.00",
            "\"10.0\"",
            "1e1",
            "1E+1",
            "\"+10\"",
            "\" 10 \"",
            "\"&#49;0\"",
        ] {
            assert_eq!(one(Kind::Number, form).to_string(), "10", "{form}");
        }
        for form in ["0", "-0", "-0.0", "\"0.00\"", "0e5"] {
            assert_eq!(one(Kind::Number, form).to_string(), "0", "{form}");
        }
        let long = "12345678901234567890.123456789012345678901";
        assert_eq!(one(Kind::Number, long).to_string(), long);
        assert_eq!(one(Kind::Number, "1e400000000"), json!("1e400000000"));
        assert_eq!(
            one(Kind::Number, "1e99999999999999999999").as_str().map(str::len),
            Some(23)
        );
        assert_eq!(one(Kind::Number, "\"1.234,50 zł\""), json!("1.234,50 zł"));
        assert_eq!(one(Kind::Number, "true"), json!("true"));
    }

    #[test]
    fn numbers_made_from_floats_are_numbers_too() {
        assert_eq!(
            normalise_value(Kind::Number, &json!(10.50)),
            Some(from_str("10.5").unwrap())
        );
        assert_eq!(
            normalise_value(Kind::Number, &json!(1e21)),
            Some(from_str(&format!("1{}", "0".repeat(21))).unwrap())
        );
        assert_eq!(normalise_value(Kind::Text, &json!(-7)), Some(json!("-7")));
    }

    #[test]
    fn true_has_many_forms() {
        for form in [
            "true", "1", "1.0", "\"1\"", "\"Yes\"", "\"TRUE\"", "\" t \"", "\"on\"",
        ] {
            assert_eq!(one(Kind::Bool, form), json!(true), "{form}");
        }
        for form in ["0", "\"0\"", "\"no\"", "\"False\"", "\"off\""] {
            assert_eq!(one(Kind::Bool, form), Value::Null, "{form}");
        }
        assert_eq!(one(Kind::Bool, "\"parent\""), json!("parent"));
    }

    #[test]
    fn the_no_of_a_flag_is_not_nothing() {
        for form in [
            "false",
            "0",
            "\"0\"",
            "0.0",
            "\"no\"",
            "\" False \"",
            "\"off\"",
            "\"f\"",
        ] {
            assert_eq!(one(Kind::Flag, form), json!(false), "{form}");
        }
        for form in ["true", "1", "\"Yes\"", "\"t\""] {
            assert_eq!(one(Kind::Flag, form), json!(true), "{form}");
        }
        for form in ["null", "\"\"", "\" \"", "[]", "{}"] {
            assert_eq!(one(Kind::Flag, form), Value::Null, "{form}");
        }
        assert_eq!(one(Kind::Flag, "\"parent\""), json!("parent"));
    }

    #[test]
    fn times_are_utc() {
        for form in [
            "\"2026-01-01 10:00:00\"",
            "\"2026-01-01T10:00:00+00:00\"",
            "\" 2026-01-01T11:00:00+0100\"",
        ] {
            assert_eq!(one(Kind::Time, form), json!("2026-01-01T10:00:00Z"), "{form}");
        }
        assert_eq!(one(Kind::Time, "\"soon\""), json!("soon"));
        assert_eq!(one(Kind::Time, "\"0000-00-00 00:00:00\""), Value::Null);
    }

    #[test]
    fn lists_are_sorted_where_order_means_nothing() {
        assert_eq!(
            one(Kind::Set, r#"[3, "20", "3", 1.0, null, " a&amp;b "]"#),
            json!(["1", "20", "3", "a&b"])
        );
        assert_eq!(one(Kind::Set, "\"a\""), json!(["a"]));
        assert_eq!(
            one(Kind::Sequence, r#"["b", "a", "", "b"]"#),
            json!(["b", "a", "b"])
        );
    }

    #[test]
    fn elements_are_sorted_by_id_and_stripped_to_known_fields() {
        let kind = schema::field(EntityType::Orders, "lines").unwrap().kind;
        let text = r#"[{"name":"last"},{"id":"10","sku":"aside","name":"b"},{"id":9,"price":1,"total":"1.50"},{"price":1},null]"#;
        let normal: Value =
            from_str(r#"[{"id":"9","total":1.5},{"id":"10","name":"b"},{"name":"last"}]"#).unwrap();
        assert_eq!(one(kind, text), normal);
        assert_eq!(one(kind, r#"{"id":9,"total":"1.5"}"#), json!([normal[0]]));
        assert_eq!(one(kind, "[7]").to_string(), "[7]");
    }

    #[test]
    fn custom_json_is_generic() {
        let text = r#"{"b":[1.0,"1.0",null,{}," x "],"a":{"c":"","d":false,"e":[]},"é&amp;":"e\u0301&amp;"}"#;
        assert_eq!(
            one(Kind::Any, text).to_string(),
            r#"{"b":[1,"1.0","x"],"é&amp;":"é&amp;"}"#
        );
    }

    #[test]
    fn unknown_fields_are_dropped_and_others_kept() {
        let record = map(json!({"name": " A ", "nope": 1, "custom": {"k": 1}, "modified_at": "2026-01-01"}));
        let normal = normalise(EntityType::Categories, &record);
        let keys: Vec<_> = normal.keys().copied().collect();
        assert_eq!(keys, ["custom", "modified_at", "name"]);
    }

    #[test]
    fn match_keys() {
        let key = |entity, v| match_key(entity, &map(v));
        assert_eq!(
            key(EntityType::Customers, json!({"email": " Ann@X.org "})).as_deref(),
            Some("ann@x.org")
        );
        assert_eq!(
            key(EntityType::Products, json!({"sku": "A-1 "})).as_deref(),
            Some("A-1")
        );
        assert_eq!(key(EntityType::Products, json!({"sku": ""})), None);
        assert_eq!(
            key(EntityType::Orders, json!({"number": 1001})).as_deref(),
            Some("1001")
        );
        assert_eq!(
            key(EntityType::Transfers, json!({"number": "WH/OUT/1"})).as_deref(),
            Some("WH/OUT/1")
        );
        assert_eq!(
            key(EntityType::Categories, json!({"slug": "mugs", "name": "M"})).as_deref(),
            Some("mugs")
        );
        assert_eq!(
            key(
                EntityType::Categories,
                json!({"slug": "", "name": "Cups &amp; Mugs"})
            )
            .as_deref(),
            Some("cups & mugs")
        );
        assert_eq!(
            key(EntityType::Warehouses, json!({"code": "WH"})).as_deref(),
            Some("WH")
        );
        assert_eq!(key(EntityType::Warehouses, json!({"code": {"a": 1}})), None);
    }

    #[test]
    fn nul_is_taken_out_everywhere() {
        let mut v = json!({"a\0": ["x\0y", {"b": "\0"}], "c": 1});
        strip_nul(&mut v);
        assert_eq!(v, json!({"a": ["xy", {"b": ""}], "c": 1}));
    }
}
