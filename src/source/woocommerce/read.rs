//! Reading listings: in windows, or by id.

use super::list::{List, VARIATIONS};
use super::map;
use super::WooCommerce;
use crate::core::{EntityType, Listing, Record, Stub};
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::{At, Batch, Content, Task, Unreadable};
use serde_json::Value;

impl WooCommerce {
    /// Carries out one task.
    pub(super) fn read(&self, entity: EntityType, task: &Task, meter: &Meter) -> Result<Batch> {
        let list = List::of(entity, &task.list)?;
        let mut batch = match &task.at {
            At::Offset(offset) | At::Tail(offset) | At::Until { offset, .. } => {
                self.window(&list, task, *offset, meter)?
            }
            At::Ids(ids) => self.by_id(&list, task, ids, meter)?,
            At::Alone(id) => self.alone(&list, task, id, meter)?,
            At::Range { .. } => return Err(Error::new(Code::Internal, "the shop has no listing by id")),
        };
        if entity == EntityType::Orders {
            batch.warnings.extend(self.unlistable());
        }
        Ok(batch)
    }

    pub(super) fn batch(&self, list: &List, task: &Task, rows: &[Value], meter: &Meter) -> Result<Batch> {
        let mut batch = Batch::default();
        match task.content {
            Content::Ids => batch.stubs = rows.iter().map(stub).collect::<Result<_>>()?,
            Content::Full => {
                let lacks = |row: &Value| list.lacks(Content::Full, row);
                (batch.records, batch.unreadable) = self.readings(list, rows, lacks, meter)?;
            }
        }
        if *list == List::Products {
            match self.lists_all_variations(meter)? {
                false => self.children(task, rows, &mut batch),
                true => batch.more.extend(heirs(task, rows)),
            }
        }
        Ok(batch)
    }

    /// The records of rows, and those that are none: a part has another form than such parts have.
    pub(super) fn records(
        &self,
        list: &List,
        rows: &[Value],
        meter: &Meter,
    ) -> Result<(Vec<Record>, Vec<Unreadable>)> {
        self.readings(list, rows, |_| None, meter)
    }

    /// The same, where a record may lack nothing.
    fn readings(
        &self,
        list: &List,
        rows: &[Value],
        lacks: impl Fn(&Value) -> Option<&'static str>,
        meter: &Meter,
    ) -> Result<(Vec<Record>, Vec<Unreadable>)> {
        let (mut records, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let id = map::required_id(row)?;
            let record = match lacks(row) {
                Some(field) => Err(format!("it comes without its {field}")),
                None => list.record(row).map_err(|error| error.message),
            };
            match record {
                Ok(record) => records.push(record),
                Err(reason) => unreadable.push(Unreadable { id, reason }),
            }
        }
        if list.holds_variations() {
            self.tell_inherited(&mut records, meter)?;
        }
        if list.holds_variations() || *list == List::Products {
            records = self.with_currency(records, meter)?;
        }
        Ok((records, unreadable))
    }

    /// Where variations are listed per product: what to read for these products.
    fn children(&self, task: &Task, rows: &[Value], batch: &mut Batch) {
        for row in rows {
            let Some(id) = map::id(row) else { continue };
            if !row["type"].is_string() {
                continue;
            }
            if !is_variable(row) {
                batch.childless.push(id);
                continue;
            }
            self.remember_sku(&id, row);
            batch.more.push(Task {
                list: Listing::children_of(VARIATIONS, id),
                content: task.content,
                since: None,
                at: At::Offset(0),
            });
        }
    }
}

fn is_variable(row: &Value) -> bool {
    row["type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("variable"))
}

/// With changed products: all of their variations. They show stock, SKU, weight and sizes of their product where they have
/// none of their own, and its change of these leaves their dates alone (seen on 11.0 and 8.2). A product that only a sweep
/// has found may have been away, and its variations count, but are not shown, without it.
fn heirs(task: &Task, rows: &[Value]) -> Option<Task> {
    if task.since.is_none() && !task.at.is_by_id() {
        return None;
    }
    let parents: Vec<String> = rows
        .iter()
        .filter(|row| is_variable(row))
        .filter_map(map::id)
        .collect();
    (!parents.is_empty()).then(|| Task {
        list: Listing::children_of(VARIATIONS, parents.join(",")),
        content: task.content,
        since: None,
        at: At::Offset(0),
    })
}

/// A product that vanished since it was listed has no variations.
pub(super) fn none(list: &List) -> Result<Batch> {
    if *list == List::Variations {
        return Err(Error::new(
            Code::Nonsense,
            "the shop lists variations product by product only",
        ));
    }
    Ok(Batch::default())
}

fn stub(row: &Value) -> Result<Stub> {
    Ok(Stub {
        named: None,
        external_id: map::required_id(row)?,
        modified_at: map::gmt(&row["date_modified_gmt"]),
        lines: None,
    })
}
