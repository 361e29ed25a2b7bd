//! What differs between two records, field by field.

use super::canon;
use super::comparison::{Compared, Comparison};
use super::field::Kind;
use serde_json::{json, Map, Value};

/// The compared fields in which two records differ: `{field: {"old": …, "new": …}}`, values in their
/// normalised form, null for absent. Empty exactly where the fingerprints are equal.
pub fn diff(
    comparison: &Comparison,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Map<String, Value> {
    let mut changed = Map::new();
    for field in comparison.fields() {
        let of = |record| field.value(record).and_then(|v| canon::canon(field.kind, v));
        let (before, after) = (of(old), of(new));
        if before != after {
            let (before, after) = (before.map(Value::from), after.map(Value::from));
            changed.insert(field.name.clone(), json!({"old": before, "new": after}));
        }
    }
    changed
}

/// The compared fields that hold something in `old` and nothing in `new`. A flag that is false holds something.
pub fn emptied<'c>(
    comparison: &'c Comparison,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Vec<&'c str> {
    let holds = |field: &Compared, record: &Map<String, Value>| {
        let value = field.value(record);
        value.and_then(|value| canon::canon(field.kind, value)).is_some()
    };
    let fields = comparison.fields().iter();
    fields
        .filter(|field| field.kind != Kind::Bool && holds(field, old) && !holds(field, new))
        .map(|field| field.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{fingerprint, EntityType};

    fn map(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn shows_changed_fields_only_and_normalised() {
        let old = map(r#"{"sku":"A","price":"10.00","name":" Mug","status":"","custom":{"a":1}}"#);
        let new = map(r#"{"sku":"A","price":12.50,"name":"Mug","type":"simple","custom":{"a":2}}"#);
        let changed = diff(Comparison::all(EntityType::Products), &old, &new);
        let shown = r#"{"price":{"new":12.5,"old":10},"type":{"new":"simple","old":null}}"#;
        assert_eq!(changed, map(shown));
    }

    #[test]
    fn the_same_in_another_form_is_no_difference() {
        let old = map(r#"{"total":"5.0","lines":[{"id":2,"sku":"b"},{"id":1}],"paid_at":null}"#);
        let new = map(r#"{"total":5,"lines":[{"id":"1"},{"sku":"b","id":"2"}],"number":false}"#);
        assert_eq!(diff(Comparison::all(EntityType::Orders), &old, &new), Map::new());
    }

    #[test]
    fn emptied_is_what_holds_nothing_any_more() {
        let old = map(r#"{"sku":"A","price":"0","name":"Mug","status":" ","is_active":true,"tags":["a"]}"#);
        let new = map(r#"{"sku":"","price":"0.00","status":"x","tags":[]}"#);
        let all = Comparison::all(EntityType::Products);
        assert_eq!(emptied(all, &old, &new), ["name", "sku", "tags"]);
    }

    #[test]
    fn another_sku_of_a_lines_product_is_no_change_of_the_document() {
        let with = |sku: &str| map(&json!({"lines": [{"id": 1, "sku": sku, "quantity": 1}]}).to_string());
        for entity in [
            EntityType::Orders,
            EntityType::Sales,
            EntityType::Purchases,
            EntityType::Transfers,
        ] {
            let all = Comparison::all(entity);
            assert_eq!(diff(all, &with("A"), &with("B")), Map::new());
            assert_eq!(fingerprint(all, &with("A")), fingerprint(all, &with("B")));
        }
    }
}
