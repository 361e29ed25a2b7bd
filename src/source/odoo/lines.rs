//! Lines that were taken off documents. Odoo leaves no trace of what is deleted, and a line that adds nothing to the
//! document's amounts (a section, a note, a present; a move of a transfer that is still a draft) goes without its document's
//! `write_date` changing: seen with versions 17 and 19. So the lines are counted, up to an id: where there are fewer than
//! the last time, a sweep compares how many each document has.

use super::api::Args;
use super::list::{self, List};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::Lines;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// So many lines have an id up to this one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    until: u64,
    count: u64,
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
        let lost = match before {
            // More of them can be there than before: of transactions that began earlier, and may hide one that is gone.
            Some(seal) => self.count_lines(model.name, seal.until, meter)? != seal.count,
            None => true,
        };
        let until = self.greatest_id(model.name, &[], meter)?;
        let count = self.count_lines(model.name, until, meter)?;
        Ok(Some(Lines {
            seal: json!(Seal { until, count }),
            lost,
            requests: meter.requests(),
        }))
    }

    fn count_lines(&self, model: &'static str, until: u64, meter: &Meter) -> Result<u64> {
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!([["id", "<=", until]]));
        let answer = self.api.call(model, "search_count", args, meter)?;
        let count = answer.value.as_u64();
        count.ok_or_else(|| Error::new(Code::Nonsense, format!("Odoo can't count {model}")))
    }

    /// The fields of bare ids: the date, and the ids of lines.
    pub(super) fn fields_of_stubs(&self, list: &List, meter: &Meter) -> Result<Vec<String>> {
        let mut fields = vec!["write_date".to_owned()];
        if let List::Records(entity) = list {
            if let Some(name) = list::line_ids(*entity) {
                let known = self.known.fields(&self.api, list.model(), meter)?;
                fields.extend(known.contains_key(name).then(|| name.to_owned()));
            }
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

    fn sales(lines: &[u64]) -> Erp {
        let order = json!({"id": 1, "name": "S1", "order_line": lines, "write_date": "2026-01-01 00:00:00"});
        let line = |id: &u64| json!({"id": id, "order_id": [1, "S1"]});
        let tables = vec![
            Table::new("sale.order", vec![order]),
            Table::new("sale.order.line", lines.iter().map(line).collect()),
        ];
        Erp::new(true, tables)
    }

    fn watch(lines: &[u64], before: Option<&Value>) -> (Value, bool) {
        let server = sales(lines).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let told = odoo.lines(EntityType::Sales, before).unwrap().unwrap();
        assert!((2..=4).contains(&told.requests), "{}", told.requests);
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
    fn a_sweep_tells_how_many_lines_there_are() {
        let server = sales(&[4, 5]).start();
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
        assert!(odoo.lines(EntityType::Categories, None).unwrap().is_none());
    }
}
