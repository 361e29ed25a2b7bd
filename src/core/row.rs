//! Records as rows of a local table: texts in the order of a layout, instead of JSON under names. A statement that
//! touches a million rows spends its time here.

use super::canon::{self, Canon};
use super::comparison::{Comparison, SYNC_TYPE};
use super::field::Kind;
use super::fingerprint::{of_fields, Fingerprint};
use super::nesting;
use super::normalise;
use std::borrow::Cow;

/// Where a row holds the compared fields: names of fields in the order of its texts, for instance `email,name,custom`.
#[derive(Debug, Clone)]
pub struct Layout {
    comparison: Comparison,
    /// How many texts a row has.
    width: usize,
    /// Per compared field: where it stands.
    places: Vec<Place>,
    /// Where a match key can stand, best first.
    keys: Vec<(usize, Kind)>,
    /// Where it stands which connector the row came from.
    came_from: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    At(usize),
    /// A custom field without a column of its own, in the JSON of `custom`.
    In(usize),
    Nowhere,
}

impl Layout {
    /// Places the comparison's fields among these names, separated by commas.
    pub fn new(comparison: Comparison, names: &str) -> Self {
        let names: Vec<&str> = names.split(',').collect();
        let find = |name: &str| names.iter().position(|n| *n == name);
        let place = |field: &super::Compared| match (find(&field.name), field.custom()) {
            (Some(at), _) => Place::At(at),
            (None, Some(_)) => find("custom").map_or(Place::Nowhere, Place::In),
            (None, None) => Place::Nowhere,
        };
        Layout {
            width: names.len(),
            places: comparison.fields().iter().map(place).collect(),
            keys: normalise::match_fields(comparison.entity())
                .iter()
                .filter_map(|name| Some((find(name)?, normalise::match_kind(name))))
                .collect(),
            came_from: find(SYNC_TYPE),
            comparison,
        }
    }

    /// How many texts a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The same fingerprint as that of the record the row stands for. It never fails: a local table's own statements
    /// go through here.
    pub fn fingerprint(&self, row: &[Option<Cow<'_, str>>]) -> Fingerprint {
        of_fields(&self.comparison, |position, field, put| {
            match self.places.get(position) {
                Some(Place::At(at)) => in_column(field.kind, text(row, *at), put),
                Some(Place::In(at)) => in_custom(field, text(row, *at), put),
                _ => {}
            }
        })
    }

    /// What the row is matched by.
    pub fn match_key(&self, row: &[Option<Cow<'_, str>>]) -> Option<String> {
        let came_from = self.came_from.and_then(|at| text(row, at));
        if !self.comparison.may_own(came_from) {
            return None;
        }
        self.keys
            .iter()
            .find_map(|(at, kind)| normalise::as_match_key(canon::of_text(*kind, text(row, *at)?)?))
    }
}

fn text<'a>(row: &'a [Option<Cow<'_, str>>], at: usize) -> Option<&'a str> {
    row.get(at)?.as_deref()
}

fn in_column(kind: Kind, text: Option<&str>, put: &mut dyn FnMut(&Canon<'_>)) {
    let Some(text) = text else { return };
    match kind {
        Kind::Set | Kind::Sequence | Kind::List(_) | Kind::Any => {
            canon::canon(kind, &nesting::value(text)).iter().for_each(put)
        }
        _ => canon::of_text(kind, text).iter().for_each(put),
    }
}

fn in_custom(field: &super::Compared, text: Option<&str>, put: &mut dyn FnMut(&Canon<'_>)) {
    let (Some(text), Some(name)) = (text, field.custom()) else {
        return;
    };
    // Postgres takes what we can't read (half of a surrogate pair, nesting of any depth): that stands for itself, as text
    let custom = nesting::value(text);
    custom
        .get(name)
        .and_then(|v| canon::canon(field.kind, v))
        .iter()
        .for_each(put);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::fingerprint;
    use serde_json::{Map, Value};

    fn row<'a>(texts: &[Option<&'a str>]) -> Vec<Option<Cow<'a, str>>> {
        texts.iter().map(|t| t.map(Cow::Borrowed)).collect()
    }

    fn record(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_row_has_the_fingerprint_of_its_record() {
        let comparison: Comparison =
            "products:category_ids,custom.shelf=number,manage_stock,name,price,sale_from"
                .parse()
                .unwrap();
        let layout = Layout::new(
            comparison.clone(),
            "price,name,sku,category_ids,sale_from,manage_stock,custom",
        );
        let texts = row(&[
            Some("10.50"),
            Some(" Mug &amp; more "),
            Some("not compared"),
            Some(r#"[3, "1"]"#),
            Some("2026-01-01 10:00:00.50+00"),
            Some("true"),
            Some(r#"{"shelf": "7.0"}"#),
        ]);
        let same = record(
            r#"{"price":"10.5","name":"Mug & more","category_ids":["1","3"],"sale_from":"2026-01-01T10:00:00.5Z",
                "manage_stock":true,"mapped":{"shelf":7}}"#,
        );
        assert_eq!(layout.fingerprint(&texts), fingerprint(&comparison, &same));
        assert_eq!(layout.match_key(&texts).as_deref(), Some("not compared"));
        assert_eq!(layout.width(), 7);
    }

    #[test]
    fn nulls_and_missing_columns_are_absent() {
        let comparison: Comparison = "customers:custom.a=text,email,name,phone".parse().unwrap();
        let layout = Layout::new(comparison.clone(), "email,name");
        let made = layout.fingerprint(&row(&[None, Some("")]));
        assert_eq!(made, fingerprint(&comparison, &Map::new()));
        assert_eq!(layout.match_key(&row(&[None, Some("x")])), None);
    }

    #[test]
    fn a_document_of_another_connector_has_no_match_key() {
        let comparison: Comparison = "orders:status:cc6fd4f2dc2c3a7c6ae7f2e4f4a2c4e6".parse().unwrap();
        let layout = Layout::new(comparison, "number,status,sync_type");
        let key = |from| layout.match_key(&row(&[Some("1001"), None, from]));
        assert_eq!(
            (key(None).as_deref(), key(Some("")).as_deref()),
            (Some("1001"), Some("1001"))
        );
        assert_eq!(key(Some("outlet")), None);
        let of_nobody = Layout::new("orders:status".parse().unwrap(), "number,status,sync_type");
        let texts = row(&[Some("1001"), None, Some("outlet")]);
        assert_eq!(of_nobody.match_key(&texts).as_deref(), Some("1001"));
    }

    #[test]
    fn a_custom_field_with_a_column_of_its_own_is_read_there() {
        let comparison: Comparison = "customers:custom.vat=text".parse().unwrap();
        let layout = Layout::new(comparison.clone(), "custom,custom.vat");
        let made = layout.fingerprint(&row(&[Some(r#"{"vat":"1"}"#), Some("2")]));
        assert_eq!(made, fingerprint(&comparison, &record(r#"{"custom.vat":"2"}"#)));
    }

    #[test]
    fn a_flag_in_a_column_is_the_flag_of_the_record() {
        let prints = |kind: &str| {
            let comparison: Comparison = format!("customers:custom.vip={kind}").parse().unwrap();
            let column = Layout::new(comparison.clone(), "custom.vip");
            let inside = Layout::new(comparison.clone(), "custom");
            let forms = [
                (
                    Some("false"),
                    Some(r#"{"vip": 0}"#),
                    r#"{"mapped":{"vip":false}}"#,
                ),
                (Some("f"), Some(r#"{"vip": "no"}"#), r#"{"mapped":{"vip":"0"}}"#),
                (Some("true"), Some(r#"{"vip": true}"#), r#"{"mapped":{"vip":1}}"#),
                (None, Some(r#"{"vip": null}"#), "{}"),
                (Some(""), None, r#"{"mapped":{"vip":""}}"#),
            ];
            forms.map(|(in_column, in_custom, remote)| {
                let made = column.fingerprint(&row(&[in_column]));
                assert_eq!(made, inside.fingerprint(&row(&[in_custom])), "{remote}");
                assert_eq!(made, fingerprint(&comparison, &record(remote)), "{remote}");
                made
            })
        };
        let [no, other_no, yes, nothing, empty] = prints("flag");
        assert!(no == other_no && nothing == empty && no != nothing && yes != no && yes != nothing);
        let [no, other_no, yes, nothing, empty] = prints("bool");
        assert!(no == other_no && no == nothing && nothing == empty && yes != no);
    }

    #[test]
    fn a_text_that_is_no_json_stands_for_itself() {
        let layout = Layout::new("products:tags".parse().unwrap(), "tags");
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        let made = |text: &str| layout.fingerprint(&row(&[Some(text)]));
        assert_eq!(made("a"), made(r#"["a"]"#));
        assert_ne!(made(&deep), made("[]"));
        assert_ne!(made(r#"["\ud800"]"#), made("[]"));
    }
}
