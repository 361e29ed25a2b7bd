//! Reading listings: in windows by offset, or by id.

use super::api::Params;
use super::list::List;
use super::map;
use super::WooCommerce;
use crate::core::{EntityType, Record, Stub};
use crate::error::{Code, Error, Result};
use crate::source::http::{Meter, Response};
use crate::source::{At, Batch, Content, Task, Unreadable};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

/// The most that WooCommerce gives at once.
pub(super) const PER_PAGE: u64 = 100;
/// Neighbouring windows share one record.
const STRIDE: u64 = PER_PAGE - 1;

/// The rows of one answer, with what its headers say.
pub(super) struct Page {
    pub rows: Vec<Value>,
    pub total: Option<u64>,
    pub server_time: Option<DateTime<Utc>>,
    pub response: Response,
}

impl WooCommerce {
    /// Carries out one task.
    pub(super) fn read(&self, entity: EntityType, task: &Task, meter: &Meter) -> Result<Batch> {
        let list = List::of(entity, &task.list)?;
        match &task.at {
            At::Offset(offset) => self.window(&list, task, *offset, *offset == 0, meter),
            At::Tail(offset) => self.window(&list, task, *offset, true, meter),
            At::Ids(ids) => self.by_id(&list, task, ids, meter),
            At::Range { .. } => Err(Error::new(Code::Internal, "the shop has no listing by id")),
        }
    }

    fn window(&self, list: &List, task: &Task, offset: u64, goes_on: bool, meter: &Meter) -> Result<Batch> {
        let mut params = self.params(
            list,
            task.content,
            task.since,
            &self.settings.customer_role,
            meter,
        )?;
        if offset > 0 {
            params.push(("offset".to_owned(), offset.to_string()));
        }
        let Some(page) = self.find_page(list, &params, meter)? else {
            return Ok(Batch {
                total: Some(0),
                end: true,
                ..none(list)?
            });
        };
        let rows = page.rows.len() as u64;
        // Past the end, HPOS shops say that there is nothing at all.
        let total = page
            .total
            .filter(|total| rows > 0 || offset == 0 || *total > offset);
        // A short page ends a listing, unless rows were taken out of it: by a plugin, or because they are broken. Seen on
        // 11.0: variations whose product is gone from the database count, and are shown nowhere.
        let end = rows < PER_PAGE && total.is_none_or(|total| offset + PER_PAGE >= total);
        let counted = total.map_or(0, |total| total.saturating_sub(offset).min(PER_PAGE));
        let mut batch = self.batch(list, task, &page, meter)?;
        if goes_on && !end {
            batch.more.extend(following(task, offset, total));
        }
        Ok(Batch {
            total,
            end,
            unshown: counted.saturating_sub(rows),
            ..batch
        })
    }

    fn by_id(&self, list: &List, task: &Task, ids: &[String], meter: &Meter) -> Result<Batch> {
        let mut all = Batch::default();
        for ids in ids.chunks(PER_PAGE as usize) {
            // With any role: a customer whose role has changed is not gone.
            let mut params = self.params(list, task.content, None, "all", meter)?;
            params.push(("include".to_owned(), ids.join(",")));
            let Some(page) = self.find_page(list, &params, meter)? else {
                return none(list);
            };
            let batch = self.batch(list, task, &page, meter)?;
            all.server_time = all.server_time.or(batch.server_time);
            all.records.extend(batch.records);
            all.stubs.extend(batch.stubs);
            all.unreadable.extend(batch.unreadable);
            all.more.extend(batch.more);
            all.childless.extend(batch.childless);
        }
        Ok(all)
    }

    pub(super) fn params(
        &self,
        list: &List,
        content: Content,
        since: Option<DateTime<Utc>>,
        role: &str,
        meter: &Meter,
    ) -> Result<Params> {
        let mut params = vec![
            ("per_page", PER_PAGE.to_string()),
            ("orderby", "id".to_owned()),
            ("order", "asc".to_owned()),
            ("_fields", list.fields(content).to_owned()),
        ];
        match list {
            List::Customers => params.push(("role", role.to_owned())),
            List::Orders => params.push(("status", self.order_statuses(meter)?.join(","))),
            List::Categories => {}
            _ => params.push(("status", "any".to_owned())),
        }
        if let List::VariationsIn(parents) = list {
            params.push(("parent", parents.clone()));
        }
        if let Some(since) = since.filter(|_| list.knows_changes()) {
            // The shop compares whole seconds, strictly: one second earlier loses nothing.
            let after = since - Duration::seconds(1);
            params.push(("modified_after", after.format("%Y-%m-%dT%H:%M:%S").to_string()));
            params.push(("dates_are_gmt", "true".to_owned()));
        }
        Ok(params
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }

    /// One answer of a listing; None where the shop has no such listing of variations.
    pub(super) fn find_page(&self, list: &List, params: &Params, meter: &Meter) -> Result<Option<Page>> {
        let mut response = self.api.get(&list.route(), params, meter)?;
        let mut params = params.clone();
        while let Some(why) = refused_param(&response, "status").filter(|_| *list == List::Orders) {
            params = self
                .without_status(params, why)
                .ok_or_else(|| self.unknown(&response, "order_statuses"))?;
            response = self.api.get(&list.route(), &params, meter)?;
        }
        if *list == List::Customers && refused_param(&response, "role").is_some() {
            return Err(self.unknown(&response, "customer_role"));
        }
        if response.status == 404 && matches!(list, List::Variations | List::VariationsOf(_)) {
            return Ok(None);
        }
        self.parse(list, response).map(Some)
    }

    /// The parameters without the order status that the shop refuses (`status[7] is not one of ...`):
    /// old shops know no drafts, and a plugin that is gone takes its statuses along. None where that
    /// can't be told, or where the settings name it.
    fn without_status(&self, mut params: Params, why: &str) -> Option<Params> {
        let (_, value) = params.iter_mut().find(|(name, _)| name == "status")?;
        let mut statuses: Vec<String> = value.split(',').map(str::to_owned).collect();
        let index: usize = why.strip_prefix("status[")?.split(']').next()?.parse().ok()?;
        let refused = (index < statuses.len() && statuses.len() > 1).then(|| statuses.remove(index))?;
        if self.settings.order_statuses.contains(&refused) {
            return None;
        }
        *value = statuses.join(",");
        self.api.note(|memo| memo.order_statuses = Some(statuses));
        Some(params)
    }

    fn unknown(&self, response: &Response, setting: &str) -> Error {
        let message = format!("the shop doesn't know the {setting} of this connector");
        let error = Error {
            code: Code::Invalid,
            message,
            ..self.api.error(response)
        };
        error.hint(format!("Correct {setting} in the connector's settings."))
    }

    fn parse(&self, list: &List, response: Response) -> Result<Page> {
        let (response, json) = self.api.expect_json(response)?;
        let Value::Array(rows) = json else {
            let message = format!("the remote's answer to {} is no list", list.route());
            return Err(
                Error::new(Code::Nonsense, message).hint("A plugin of the shop may change its answers.")
            );
        };
        let total = response.total();
        Ok(Page {
            rows,
            total,
            server_time: response.date(),
            response,
        })
    }

    /// How many records a listing holds, and the answer that said so; None where there is no such
    /// listing of variations.
    pub(super) fn count(&self, list: &List, meter: &Meter) -> Result<Option<Page>> {
        let mut params = self.params(list, Content::Ids, None, &self.settings.customer_role, meter)?;
        for (name, value) in &mut params {
            match name.as_str() {
                "per_page" => *value = "1".to_owned(),
                "_fields" => *value = "id".to_owned(),
                _ => {}
            }
        }
        self.find_page(list, &params, meter)
    }

    fn batch(&self, list: &List, task: &Task, page: &Page, meter: &Meter) -> Result<Batch> {
        let mut batch = Batch {
            server_time: page.server_time,
            ..Batch::default()
        };
        match task.content {
            Content::Ids => batch.stubs = page.rows.iter().map(stub).collect::<Result<_>>()?,
            Content::Full => {
                (batch.records, batch.unreadable) = self.records(list, &page.rows, meter)?;
            }
        }
        if *list == List::Products {
            match self.lists_all_variations(meter)? {
                false => self.children(task, &page.rows, &mut batch),
                true => batch.more.extend(heirs(task, &page.rows)),
            }
        }
        Ok(batch)
    }

    /// The records of rows, and those that are none: of one, a part has another form than such parts have.
    pub(super) fn records(
        &self,
        list: &List,
        rows: &[Value],
        meter: &Meter,
    ) -> Result<(Vec<Record>, Vec<Unreadable>)> {
        let (mut records, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let id = map::required_id(row)?;
            match list.record(row) {
                Ok(record) => records.push(record),
                Err(error) => unreadable.push(Unreadable {
                    id,
                    reason: error.message,
                }),
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
            if !is_variable(row) {
                batch.childless.push(id);
                continue;
            }
            self.remember_sku(&id, row);
            batch.more.push(Task {
                list: format!("variations:{id}"),
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
    if task.since.is_none() && !matches!(task.at, At::Ids(_)) {
        return None;
    }
    let parents: Vec<String> = rows
        .iter()
        .filter(|row| is_variable(row))
        .filter_map(map::id)
        .collect();
    (!parents.is_empty()).then(|| Task {
        list: format!("variations:{}", parents.join(",")),
        content: task.content,
        since: None,
        at: At::Offset(0),
    })
}

/// Why the shop refuses a parameter, in its words; None where it doesn't.
fn refused_param<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let json = response.json.as_ref().filter(|_| response.status == 400)?;
    json["data"]["params"][name]
        .as_str()
        .filter(|_| response.remote_code() == "rest_invalid_param")
}

/// A product that vanished since it was listed has no variations.
fn none(list: &List) -> Result<Batch> {
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

/// The windows after the one at `offset`, the last one first: whoever works on a stack reads them in order.
fn following(task: &Task, offset: u64, total: Option<u64>) -> Vec<Task> {
    let task_at = |at: At| Task { at, ..task.clone() };
    let mut offsets = vec![offset + STRIDE];
    let mut last = offset + STRIDE;
    while total.is_some_and(|total| last + PER_PAGE <= total) {
        last += STRIDE;
        offsets.push(last);
    }
    let tail = offsets.pop().map(|offset| task_at(At::Tail(offset)));
    tail.into_iter()
        .chain(
            offsets
                .into_iter()
                .rev()
                .map(|offset| task_at(At::Offset(offset))),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn windows(offset: u64, total: Option<u64>) -> Vec<At> {
        let task = Task {
            list: "orders".into(),
            content: Content::Full,
            since: None,
            at: At::Offset(offset),
        };
        following(&task, offset, total)
            .into_iter()
            .map(|task| task.at)
            .collect()
    }

    #[test]
    fn windows_overlap_by_one_and_end_with_one_that_is_not_full() {
        assert_eq!(windows(0, Some(100)), [At::Tail(99)]);
        assert_eq!(windows(0, Some(198)), [At::Tail(99)]);
        assert_eq!(windows(0, Some(199)), [At::Tail(198), At::Offset(99)]);
        assert_eq!(
            windows(0, Some(355)),
            [At::Tail(297), At::Offset(198), At::Offset(99)]
        );
        assert_eq!(windows(297, Some(397)), [At::Tail(396)]);
        assert_eq!(windows(0, None), [At::Tail(99)]);
    }
}
