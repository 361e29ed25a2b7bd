//! What documents lost without their `write_date` changing: seen with versions 17 and 19. Odoo leaves no trace of what is
//! deleted. A line that adds nothing to the document's amounts (a section, a note, a present; a move of a transfer that is
//! still a draft) just goes. A contact that is merged into another one, or deleted where that is allowed, is replaced in the
//! tables behind the documents' back. So lines and contacts are counted, up to an id: where there are fewer than the last
//! time, a sweep compares how many lines each document has, and whom it names.

use super::api::Args;
use super::list::{self, List};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::Lines;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// So many rows have an id up to this one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rows {
    until: u64,
    count: u64,
}

/// What was there.
#[derive(Debug, Serialize, Deserialize)]
struct Seal {
    #[serde(flatten)]
    lines: Rows,
    /// None where the connector's user may not read them.
    contacts: Option<Rows>,
}

impl Odoo {
    /// See [`crate::source::Source::lines`].
    pub(super) fn watch_lines(
        &self,
        entity: EntityType,
        before: Option<&Value>,
        meter: &Meter,
    ) -> Result<Option<Lines>> {
        let Some((model, _)) = list::lines(entity) else {
            return Ok(None);
        };
        let before = before.and_then(|seal| Seal::deserialize(seal).ok());
        let (lines_before, contacts_before) = before.map_or((None, None), |b| (Some(b.lines), b.contacts));
        let (lines, lost_lines) = self.watch(model.name, lines_before, meter)?;
        let contacts = list::model(EntityType::Customers).name;
        let (contacts, lost_contacts) = match self.watch(contacts, contacts_before, meter) {
            Ok((rows, lost)) => (Some(rows), lost),
            Err(error) if error.code == Code::RemoteAuth => (None, false),
            Err(error) => return Err(error),
        };
        Ok(Some(Lines {
            seal: json!(Seal { lines, contacts }),
            lost: lost_lines || lost_contacts,
            requests: meter.requests(),
        }))
    }

    /// How many rows of a model there are, and whether some are gone.
    fn watch(&self, model: &'static str, before: Option<Rows>, meter: &Meter) -> Result<(Rows, bool)> {
        let until = self.greatest_id(model, &[], meter)?;
        let count = self.count_rows(model, until, meter)?;
        let lost = match before {
            Some(before) if before.until == until => count != before.count,
            // More of them can be there than before: of transactions that began earlier, and may hide one that is gone.
            Some(before) => self.count_rows(model, before.until, meter)? != before.count,
            None => true,
        };
        Ok((Rows { until, count }, lost))
    }

    fn count_rows(&self, model: &'static str, until: u64, meter: &Meter) -> Result<u64> {
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!([["id", "<=", until]]));
        let answer = self.api.call(model, "search_count", args, meter)?;
        let count = answer.value.as_u64();
        count.ok_or_else(|| Error::new(Code::Nonsense, format!("Odoo can't count {model}")))
    }

    /// The fields of bare ids: the date, and of documents the ids of lines and contacts.
    pub(super) fn fields_of_stubs(&self, list: &List, meter: &Meter) -> Result<Vec<String>> {
        let mut fields = vec!["write_date".to_owned()];
        let List::Records(entity) = list else {
            return Ok(fields);
        };
        if let Some(lines) = list::line_ids(*entity) {
            let known = self.known.fields(&self.api, list.model(), meter)?;
            let contacts = list::contacts(*entity).iter().map(|(_, theirs)| *theirs);
            let there = contacts.chain([lines]).filter(|name| known.contains_key(*name));
            fields.extend(there.map(str::to_owned));
        }
        Ok(fields)
    }
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
        assert!((4..=7).contains(&told.requests), "{}", told.requests);
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

    #[test]
    fn a_sweep_tells_how_many_lines_there_are_and_whom_a_document_names() {
        let server = sales(&[4, 5], &[]).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let task = Task {
            list: "sales".to_owned(),
            content: Content::Ids,
            since: None,
            at: At::Range {
                after: 0,
                until: None,
            },
        };
        let batch = odoo.fetch(EntityType::Sales, &task).unwrap();
        assert_eq!(batch.stubs[0].lines, Some(2));
        let named = json!({ "partner_external_id": "8", "invoice_partner_external_id": null });
        assert_eq!(batch.stubs[0].named, named.as_object().cloned());
        assert!(odoo.lines(EntityType::Categories, None).unwrap().is_none());
    }
}
