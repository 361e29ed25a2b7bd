//! Custom fields: values of the raw `custom` of a remote record, by path and with a kind, as fields of the record.

use super::comparison::custom_kind;
use super::entity::EntityType;
use super::field::Kind;
use super::normalise::normalise_value;
use super::schema;
use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};

/// One field that is taken from the raw record.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// A field of the catalogue, or a name of its own.
    pub field: String,
    /// Keys within `custom`, separated by dots; a whole key that has dots in it comes first. All of it: `*`.
    pub path: String,
    pub kind: Kind,
}

impl Mapping {
    /// Reads `[{"field", "path", "kind"}]`. A field of the catalogue has its kind from there.
    pub fn list(entity: EntityType, json: &Value) -> Result<Vec<Mapping>> {
        let one = |item: &Value| {
            let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
            let (field, path) = (text("field")?, text("path")?);
            let kind = match schema::field(entity, field) {
                Some(known) => known.kind,
                None => custom_kind(text("kind").unwrap_or("text"))?,
            };
            Some(Mapping {
                field: field.to_owned(),
                path: path.to_owned(),
                kind,
            })
        };
        let items = json.as_array().map(Vec::as_slice).unwrap_or_default();
        items
            .iter()
            .map(|item| one(item).ok_or_else(|| Error::new(Code::Invalid, format!("no mapping: {item}"))))
            .collect()
    }
}

/// The path of everything that plugins and users have added.
const ALL: &str = "*";

/// Sets the mapped fields: those of the catalogue in their place, the others in `mapped`.
pub fn apply(entity: EntityType, mappings: &[Mapping], record: &mut Map<String, Value>) {
    let mut mapped = Map::new();
    for mapping in mappings {
        let custom = record.get("custom");
        let raw = match mapping.path.as_str() {
            ALL => custom,
            path => find(custom, path),
        };
        let found = raw.and_then(|raw| taken(mapping.kind, raw));
        match (found, schema::field(entity, &mapping.field)) {
            (Some(value), Some(_)) => drop(record.insert(mapping.field.clone(), value)),
            (Some(value), None) => drop(mapped.insert(mapping.field.clone(), value)),
            (None, _) => {}
        }
    }
    record.remove("mapped");
    if !mapped.is_empty() {
        record.insert("mapped".to_owned(), Value::Object(mapped));
    }
}

/// A raw value as a field of that kind has it. A no is a value like a yes, whether or not it is compared as one.
fn taken(kind: Kind, raw: &Value) -> Option<Value> {
    if let Some(value) = normalise_value(kind, raw) {
        return Some(value);
    }
    let is_said = match raw {
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        _ => false,
    };
    match kind {
        Kind::Bool if is_said => Some(Value::Bool(false)),
        Kind::Any if raw == &Value::Bool(false) => Some(Value::Bool(false)),
        _ => None,
    }
}

fn find<'a>(value: Option<&'a Value>, path: &str) -> Option<&'a Value> {
    let value = value?;
    if let Some(found) = step(value, path) {
        return Some(found);
    }
    // the longest key first: "a.b.c" may be the key "a.b" and in it "c"
    path.rmatch_indices('.')
        .find_map(|(dot, _)| find(step(value, &path[..dot]), &path[dot + 1..]))
}

fn step<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn mapped(mappings: &Value, record: Value) -> Value {
        let list = Mapping::list(EntityType::Customers, mappings).unwrap();
        let mut record = record.as_object().unwrap().clone();
        apply(EntityType::Customers, &list, &mut record);
        Value::Object(record)
    }

    #[test]
    fn all_of_it_is_one_field() {
        let mappings = json!([{"field": "metadata", "path": "*", "kind": "any"}]);
        let custom = json!({"_vat": "ATU1", "loyalty": {"points": 10}});
        let made = mapped(&mappings, json!({"custom": custom}));
        assert_eq!(made["mapped"]["metadata"], custom);
        assert_eq!(mapped(&mappings, json!({})).get("mapped"), None);
    }

    #[test]
    fn values_are_found_by_path_and_take_their_kind() {
        let mappings = json!([
            {"field": "vat", "path": "_vat"},
            {"field": "points", "path": "loyalty.points", "kind": "number"},
            {"field": "second", "path": "list.1"},
            {"field": "dotted", "path": "a.b.c"},
            {"field": "none", "path": "nothing.here"},
        ]);
        let custom =
            json!({"_vat": " ATU1 ", "loyalty": {"points": "10.0"}, "list": [1, "two"], "a.b": {"c": true}});
        let made = mapped(&mappings, json!({"custom": custom}));
        assert_eq!(made["mapped"]["vat"], "ATU1");
        assert_eq!(made["mapped"]["points"].to_string(), "10");
        assert_eq!(made["mapped"]["second"], "two");
        assert_eq!(made["mapped"]["dotted"], "true");
        assert!(made["mapped"].get("none").is_none());
    }

    #[test]
    fn a_no_is_a_value() {
        let kinds = ["boolean", "text", "json", "number", "timestamp"];
        let mapping = |kind: &str| {
            let kind = match kind {
                "boolean" => "bool",
                "json" => "any",
                "timestamp" => "time",
                other => other,
            };
            json!([{"field": "flag", "path": "x_flag", "kind": kind}])
        };
        let no = json!({"custom": {"x_flag": false}});
        // a text that is false is one of Odoo's that are empty
        let wanted = [json!(false), Value::Null, json!(false), Value::Null, Value::Null];
        for (kind, wanted) in kinds.into_iter().zip(wanted) {
            let made = mapped(&mapping(kind), no.clone());
            let flag = made.pointer("/mapped/flag").unwrap_or(&Value::Null);
            assert_eq!(flag, &wanted, "{kind}");
        }
        for raw in [json!(0), json!("no"), json!("0")] {
            assert_eq!(
                mapped(&mapping("boolean"), json!({"custom": {"x_flag": raw}}))["mapped"]["flag"],
                false
            );
        }
        for raw in [json!(null), json!(""), json!([])] {
            let made = mapped(&mapping("boolean"), json!({"custom": {"x_flag": raw}}));
            assert!(made.get("mapped").is_none(), "{made}");
        }
    }

    #[test]
    fn a_field_of_the_catalogue_is_set_where_there_is_a_value() {
        let mappings = json!([{"field": "tax_number", "path": "_vat"}]);
        let with = mapped(&mappings, json!({"tax_number": "old", "custom": {"_vat": "new"}}));
        assert_eq!(with["tax_number"], "new");
        let without = mapped(&mappings, json!({"tax_number": "old", "mapped": {"stale": 1}}));
        assert_eq!(without, json!({"tax_number": "old"}));
    }

    #[test]
    fn a_mapping_without_path_or_with_an_unknown_kind_is_refused() {
        for wrong in [
            json!([{"field": "a"}]),
            json!([{"field": "a", "path": "b", "kind": "money"}]),
            json!([1]),
        ] {
            assert!(Mapping::list(EntityType::Customers, &wrong).is_err());
        }
    }
}
