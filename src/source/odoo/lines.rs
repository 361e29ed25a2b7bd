//! What records lost without their `write_date` changing: seen with versions 17 and 19. Odoo leaves no trace of what is
//! deleted. A line that adds nothing to the document's amounts (a section, a note, a present; a move of a transfer that is
//! still a draft) just goes. A contact that is merged into another one is replaced in the tables behind the documents' back, and
//! what refers to a record that is deleted is emptied by the database itself. So what records consist of and refer to is watched:
//! where some of it is gone, a sweep compares how many lines each record has, and whom and what it names.

use super::api::Args;
use super::list::{self, List, Shows};
use super::value::reference;
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::Lines;
use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

/// A model with up to so many rows is watched by its ids, which takes one question.
const FEW: u64 = 1000;

/// What there was of a model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Seen {
    /// So many rows have an id up to this one.
    Rows { until: u64, count: u64 },
    /// All of them.
    Ids(Vec<u64>),
}

/// What was there, by model; those that the connector's user may not read, or that no app brings, are missing.
type Seal = BTreeMap<String, Seen>;

impl Odoo {
    /// See [`crate::source::Source::lines`].
    pub(super) fn watch_lines(
        &self,
        entity: EntityType,
        before: Option<&Value>,
        meter: &Meter,
    ) -> Result<Option<Lines>> {
        let lines = list::lines(entity).map(|(model, _)| model.name);
        let named = list::watched(entity);
        if lines.is_none() && named.is_empty() {
            return Ok(None);
        }
        let mut before = before
            .and_then(|seal| Seal::deserialize(seal).ok())
            .unwrap_or_default();
        let (mut seal, mut lost) = (Seal::new(), false);
        for model in lines.into_iter().chain(named) {
            let (seen, gone) = match self.watch(model, before.remove(model), meter) {
                Err(error) if Some(model) != lines && is_not_for_us(&error) => continue,
                told => told?,
            };
            lost |= gone;
            seal.insert(model.to_owned(), seen);
        }
        Ok(Some(Lines {
            seal: json!(seal),
            lost,
            requests: meter.requests(),
        }))
    }

    /// What there is of a model, and whether some of it is gone.
    fn watch(&self, model: &'static str, before: Option<Seen>, meter: &Meter) -> Result<(Seen, bool)> {
        if list::is_small(model) && !matches!(before, Some(Seen::Rows { .. })) {
            let page = self.page(model, &json!([]), &["id".to_owned()], FEW + 1, meter)?;
            let ids: Vec<u64> = page.rows.iter().filter_map(|row| reference(&row["id"])).collect();
            if ids.len() as u64 <= FEW && !page.full {
                let lost = match before {
                    Some(Seen::Ids(before)) => before.iter().any(|id| ids.binary_search(id).is_err()),
                    _ => true,
                };
                return Ok((Seen::Ids(ids), lost));
            }
        }
        let until = self.greatest_id(model, &[], meter)?;
        let count = self.count_rows(model, until, meter)?;
        let lost = match before {
            Some(Seen::Rows { until: u, count: c }) if u == until => c != count,
            // More of them can be there than before: of transactions that began earlier, and may hide one that is gone.
            Some(Seen::Rows { until, count }) => self.count_rows(model, until, meter)? != count,
            _ => true,
        };
        Ok((Seen::Rows { until, count }, lost))
    }

    fn count_rows(&self, model: &'static str, until: u64, meter: &Meter) -> Result<u64> {
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!([["id", "<=", until]]));
        let answer = self.api.call(model, "search_count", args, meter)?;
        let count = answer.value.as_u64();
        count.ok_or_else(|| Error::new(Code::Nonsense, format!("Odoo can't count {model}")))
    }

    /// The fields of bare ids: the date, the ids of lines, and what the record names.
    pub(super) fn fields_of_stubs(&self, list: &List, meter: &Meter) -> Result<Vec<String>> {
        let mut fields = vec!["write_date".to_owned()];
        let List::Records(entity) = list else {
            return Ok(fields);
        };
        let named = list::named(*entity).iter().flat_map(list::Named::fields);
        let wanted: Vec<&str> = named.chain(list::line_ids(*entity)).collect();
        if !wanted.is_empty() {
            let known = self.known.fields(&self.api, list.model(), meter)?;
            let there = wanted.into_iter().filter(|name| known.contains_key(*name));
            fields.extend(there.map(str::to_owned));
        }
        Ok(fields)
    }
}

/// What a bare row names, as records have it.
pub(super) fn named_by(entity: EntityType, row: &Value) -> Map<String, Value> {
    let named = list::named(entity).iter();
    let told = named.filter_map(|named| {
        Some((
            named.ours.to_owned(),
            shown(named.shows, row.get(named.theirs)?, row),
        ))
    });
    told.collect()
}

fn shown(shows: Shows, named: &Value, row: &Value) -> Value {
    let id = reference(named).map(|id| id.to_string());
    match shows {
        Shows::Id => json!(id),
        Shows::Ids => id.map_or(Value::Null, |id| json!([id])),
        Shows::Label => text(&named[1]),
        Shows::Company => match text(&row["commercial_company_name"]) {
            Value::Null => text(&named[1]),
            company => company,
        },
    }
}

fn text(value: &Value) -> Value {
    match value {
        Value::String(text) if !text.trim().is_empty() => value.clone(),
        _ => Value::Null,
    }
}

fn is_not_for_us(error: &Error) -> bool {
    matches!(error.code, Code::RemoteAuth | Code::Invalid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{connect, Erp, Table};
    use super::*;
    use crate::source::{At, Content, Source, Task};

    /// An order with these lines, and contacts.
    fn sales(lines: &[u64], contacts: &[u64]) -> Erp {
        let order = json!({"id": 1, "name": "S1", "order_line": lines, "write_date": "2026-01-01 00:00:00",
            "partner_id": [8, "Ada"], "partner_invoice_id": false});
        let line = |id: &u64| json!({"id": id, "order_id": [1, "S1"]});
        let tables = vec![
            Table::new("sale.order", vec![order]),
            Table::new("sale.order.line", lines.iter().map(line).collect()),
            Table::new(
                "res.partner",
                contacts.iter().map(|id| json!({ "id": id })).collect(),
            ),
        ];
        Erp::new(true, tables)
    }

    fn watch(lines: &[u64], before: Option<&Value>) -> (Value, bool) {
        watch_both(lines, &[8, 9], before)
    }

    fn watch_both(lines: &[u64], contacts: &[u64], before: Option<&Value>) -> (Value, bool) {
        let server = sales(lines, contacts).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let told = odoo.lines(EntityType::Sales, before).unwrap().unwrap();
        assert!((5..=9).contains(&told.requests), "{}", told.requests);
        (told.seal, told.lost)
    }

    #[test]
    fn lines_that_are_gone_are_noticed_and_new_ones_are_not() {
        let (seal, lost) = watch(&[1, 2, 3], None);
        assert!(lost, "nothing is known of before");
        assert_eq!(watch(&[1, 2, 3], Some(&seal)), (seal.clone(), false));
        let (later, lost) = watch(&[1, 2, 3, 7], Some(&seal));
        assert!(!lost && later != seal);
        // one went, and another came, as when a line is typed anew
        assert!(watch(&[1, 3, 7], Some(&seal)).1);
        assert!(watch(&[1, 2, 3], Some(&later)).1);
        assert!(watch(&[], Some(&seal)).1);
        assert!(watch(&[1, 2, 3], Some(&json!("nonsense"))).1);
    }

    #[test]
    fn contacts_that_are_gone_are_noticed_too() {
        let (seal, _) = watch_both(&[1], &[8, 9], None);
        assert!(!watch_both(&[1], &[8, 9], Some(&seal)).1);
        assert!(!watch_both(&[1], &[8, 9, 10], Some(&seal)).1);
        assert!(watch_both(&[1], &[8], Some(&seal)).1);
        assert!(watch_both(&[1], &[9, 10], Some(&seal)).1);
        // as it was noted before contacts were counted
        assert!(watch_both(&[1], &[8], Some(&json!({"until": 1, "count": 1}))).1);
    }

    /// Products of these categories; the second product has none any more.
    fn products(categories: std::ops::RangeInclusive<u64>) -> Erp {
        let product = |id: u64, category: Value| json!({"id": id, "name": "P", "categ_id": category, "write_date": "2026-01-01 00:00:00"});
        Erp::new(
            true,
            vec![
                Table::new(
                    "product.product",
                    vec![product(1, json!([4, "Hats"])), product(2, json!(false))],
                ),
                Table::new(
                    "product.category",
                    categories.map(|id| json!({ "id": id })).collect(),
                ),
            ],
        )
    }

    #[test]
    fn categories_that_are_gone_are_noticed_by_one_question() {
        let watch = |categories, before: Option<&Value>| {
            let server = products(categories).start();
            let odoo = connect(&server, Value::Null, json!({"transport": "json2", "uid": 7}));
            let told = odoo.lines(EntityType::Products, before).unwrap().unwrap();
            (told.seal, told.lost, told.requests)
        };
        let (seal, lost, requests) = watch(1..=9, None);
        assert!(lost && requests == 1);
        assert_eq!(watch(1..=9, Some(&seal)), (seal.clone(), false, 1));
        assert!(!watch(1..=10, Some(&seal)).1);
        // one went and another came
        assert!(watch(2..=10, Some(&seal)).1);
        assert!(watch(1..=8, Some(&seal)).1);
        // more than are told by their ids
        let (many, lost, _) = watch(1..=3000, None);
        assert!(lost);
        assert_eq!(watch(1..=3000, Some(&many)), (many.clone(), false, 2));
        assert!(!watch(1..=3001, Some(&many)).1);
        assert!(watch(2..=3001, Some(&many)).1);
    }

    #[test]
    fn a_sweep_tells_what_a_record_names() {
        let server = products(1..=9).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = odoo.fetch(EntityType::Products, &bare("products")).unwrap();
        let named: Vec<_> = batch.stubs.iter().map(|stub| json!(stub.named)).collect();
        assert_eq!(
            named,
            [json!({"category_ids": ["4"]}), json!({"category_ids": null})]
        );

        let contact = |id: u64, company: Value, parent: Value| {
            json!({"id": id, "name": "A", "commercial_company_name": company, "parent_id": parent,
                   "write_date": "2026-01-01 00:00:00"})
        };
        let rows = vec![
            contact(1, json!("Works"), json!([9, "Works"])),
            contact(2, json!(false), json!([8, "Ada's"])),
            contact(3, json!(false), json!(false)),
        ];
        let server = Erp::new(true, vec![Table::new("res.partner", rows)]).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = odoo.fetch(EntityType::Customers, &bare("customers")).unwrap();
        for (stub, company) in batch
            .stubs
            .iter()
            .zip([json!("Works"), json!("Ada's"), Value::Null])
        {
            assert_eq!(json!(stub.named), json!({ "billing_company": company }));
        }
    }

    fn bare(list: &str) -> Task {
        Task {
            list: list.into(),
            content: Content::Ids,
            since: None,
            at: At::Range {
                after: 0,
                until: None,
            },
        }
    }

    #[test]
    fn a_sweep_tells_how_many_lines_there_are_and_whom_a_document_names() {
        let server = sales(&[4, 5], &[]).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = odoo.fetch(EntityType::Sales, &bare("sales")).unwrap();
        assert_eq!(batch.stubs[0].lines, Some(2));
        let named = json!({ "partner_external_id": "8", "invoice_partner_external_id": null });
        assert_eq!(batch.stubs[0].named, named.as_object().cloned());
        assert!(odoo.lines(EntityType::Categories, None).unwrap().is_none());
    }
}
