//! Reading listings: in ranges of ids, or by id. In ascending id order, so that a page begins where the one
//! before it ended: nothing is lost or met twice whatever is created or deleted meanwhile.

use super::api::Args;
use super::broken::Whole;
use super::lines::named_by;
use super::list::{self, List, Satellite};
use super::map;
use super::refusal::Cause;
use super::value::{reference, time};
use super::Odoo;
use crate::core::{EntityType, Listing, Stub};
use crate::error::{Code, Error, Result};
use crate::source::http::{is_too_big, Meter};
use crate::source::{At, Batch, Content, Task, Unreadable};
use chrono::{DateTime, Utc};
use serde_json::{json, Value};
use std::slice;
use std::sync::atomic::Ordering;

/// Into how many ranges the ids are split, to be read in parallel. Each is worked off page by page, so that what
/// is still to be read stays a short list.
const RANGES: u64 = 16;
/// Ids in one question that follows from a change of something else.
const IDS_PER_TASK: usize = 500;

/// Rows of a page.
pub(super) struct Page {
    pub rows: Vec<Value>,
    /// There may be more.
    pub full: bool,
    pub server_time: Option<DateTime<Utc>>,
}

impl Odoo {
    /// Carries out one task.
    pub(super) fn read(&self, entity: EntityType, task: &Task, meter: &Meter) -> Result<Batch> {
        let list = List::of(entity, &task.list)?;
        match (&task.at, list) {
            (At::Offset(0), _) => self.begin(&list, task, meter),
            (At::Range { after, until }, _) => self.range(&list, task, *after, *until, meter),
            (At::Ids(ids), List::Records(_)) => self.by_id(entity, task, ids, meter),
            (At::Alone(id), List::Records(_)) => self.by_id(entity, task, slice::from_ref(id), meter),
            _ => Err(Error::new(Code::Internal, "Odoo's listings are read by id")),
        }
    }

    /// How many records a listing holds, and the ranges in which to read it.
    fn begin(&self, list: &List, task: &Task, meter: &Meter) -> Result<Batch> {
        let domain = since(task);
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!(domain));
        let answer = match self.api.call(list.model(), "search_count", args, meter) {
            // What the user may not see of other models, or what no app brings, tells nothing.
            Err(refusal) if beside(list) && refusal.cause == Cause::NoModel => return Ok(ended(0)),
            Err(refusal) if beside(list) && refusal.cause == Cause::Forbidden => {
                return Ok(Batch {
                    warnings: vec![unwatched(list, task)],
                    ..ended(0)
                })
            }
            answer => answer?,
        };
        let total = answer
            .value
            .as_u64()
            .ok_or_else(|| Error::new(Code::Nonsense, format!("Odoo can't count {}", list.model())))?;
        let mut batch = Batch {
            server_time: answer.server_time,
            warnings: self
                .api
                .other_lang()
                .filter(|_| !beside(list))
                .into_iter()
                .collect(),
            ..ended(total)
        };
        if total > 0 {
            let ranges = self.ranges(list, task, total, meter)?;
            batch.more = ranges.into_iter().map(|at| Task { at, ..task.clone() }).collect();
        }
        Ok(batch)
    }

    /// The last one is open: it takes in what is created meanwhile.
    fn ranges(&self, list: &List, task: &Task, total: u64, meter: &Meter) -> Result<Vec<At>> {
        let pages = total.div_ceil(self.page_size(list, task.content));
        let parts = (pages / 2).clamp(1, RANGES);
        let greatest = if parts > 1 {
            self.greatest_id(list.model(), &since(task), meter)?
        } else {
            0
        };
        let bound = |part: u64| greatest / parts * part;
        let range = |part: u64| At::Range {
            after: bound(part),
            until: (part + 1 < parts).then(|| bound(part + 1)),
        };
        // whoever works on a stack takes the last one first
        Ok((0..parts).rev().map(range).collect())
    }

    pub(super) fn greatest_id(&self, model: &'static str, domain: &[Value], meter: &Meter) -> Result<u64> {
        let mut args = Args::new();
        args.insert("domain".to_owned(), json!(domain));
        args.insert("fields".to_owned(), json!(["id"]));
        args.insert("order".to_owned(), json!("id desc"));
        args.insert("limit".to_owned(), json!(1));
        let answer = self.api.call(model, "search_read", args, meter)?;
        Ok(reference(&answer.value[0]["id"]).unwrap_or(0))
    }

    fn range(
        &self,
        list: &List,
        task: &Task,
        after: u64,
        until: Option<u64>,
        meter: &Meter,
    ) -> Result<Batch> {
        let mut domain = since(task);
        domain.push(json!(["id", ">", after]));
        if let Some(until) = until {
            domain.push(json!(["id", "<=", until]));
        }
        let most = self.page_size(list, task.content);
        let Whole {
            page,
            last,
            unreadable,
        } = self.read_page(list, task.content, &json!(domain), most, meter)?;
        let last = last_id(&page.rows, after)?.max(last.unwrap_or(0));
        let mut batch = match list {
            List::Records(entity) => self.batch(*entity, task.content, &page.rows, meter)?,
            List::Satellite(entity, satellite) => self.led_to(*entity, satellite, task, &page.rows, meter)?,
        };
        batch.unreadable.extend(unreadable);
        batch.server_time = page.server_time;
        batch.end = !page.full || until.is_some_and(|until| last >= until);
        if !batch.end {
            let at = At::Range { after: last, until };
            // The rest of the range comes after what follows from this page.
            batch.more.insert(0, Task { at, ..task.clone() });
        }
        Ok(batch)
    }

    /// A page of a listing.
    fn read_page(
        &self,
        list: &List,
        content: Content,
        domain: &Value,
        most: u64,
        meter: &Meter,
    ) -> Result<Whole> {
        if let (List::Records(entity), Content::Full) = (list, content) {
            return self.whole_page(*entity, domain, most, meter);
        }
        let fields = self.fields(list, content, meter)?;
        Ok(Whole {
            page: self.page(list.model(), domain, &fields, most, meter)?,
            last: None,
            unreadable: Vec::new(),
        })
    }

    fn by_id(&self, entity: EntityType, task: &Task, ids: &[String], meter: &Meter) -> Result<Batch> {
        let list = List::Records(entity);
        let wanted: Vec<u64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let domain = json!([["id", "in", wanted]]);
        let most = wanted.len() as u64;
        let Whole { page, unreadable, .. } = self.read_page(&list, task.content, &domain, most, meter)?;
        let mut batch = self.batch(entity, task.content, &page.rows, meter)?;
        batch.server_time = page.server_time;
        batch.unreadable.extend(unreadable);
        let met: Vec<u64> = page.rows.iter().filter_map(|row| reference(&row["id"])).collect();
        let broken = |id: &u64| batch.unreadable.iter().any(|unread| unread.id == id.to_string());
        let unmet: Vec<u64> = wanted
            .into_iter()
            .filter(|id| !met.contains(id) && !broken(id))
            .collect();
        batch.hidden = self.hidden(list.model(), unmet, meter)?;
        Ok(batch)
    }

    fn batch(&self, entity: EntityType, content: Content, rows: &[Value], meter: &Meter) -> Result<Batch> {
        let mut batch = Batch::default();
        match content {
            Content::Ids => {
                batch.stubs = rows.iter().map(|row| stub(row, entity)).collect::<Result<_>>()?;
            }
            Content::Full => {
                let extras = self.extras(entity, rows, meter)?;
                batch.warnings = self.raising_fields(entity);
                let withheld = self.withheld(entity);
                for row in rows {
                    let id = map::required_id(row)?;
                    if let Some(reason) = extras.oddity(row) {
                        batch.unreadable.push(Unreadable {
                            id: id.to_string(),
                            reason,
                        });
                        continue;
                    }
                    let mut record = map::record(entity, row, &extras)?;
                    record.withheld.clone_from(&withheld);
                    batch.records.push(record);
                }
            }
        }
        Ok(batch)
    }

    /// The records that changed rows of another model lead to. Those that changed by their own dates are read
    /// anyway.
    fn led_to(
        &self,
        entity: EntityType,
        satellite: &Satellite,
        task: &Task,
        rows: &[Value],
        meter: &Meter,
    ) -> Result<Batch> {
        let mut links: Vec<u64> = rows
            .iter()
            .filter_map(|row| reference(&row[satellite.link]))
            .collect();
        links.sort_unstable();
        links.dedup();
        let mut batch = Batch::default();
        if links.is_empty() {
            return Ok(batch);
        }
        let model = list::model(entity).name;
        let mut after = 0;
        loop {
            let mut domain = vec![json!([satellite.field, "in", links]), json!(["id", ">", after])];
            if let Some(since) = task.since {
                domain.push(json!(["write_date", "<", stamp(since)]));
            }
            let most = self.settings.page_size;
            let page = self.page(model, &json!(domain), &["id".to_owned()], most, meter)?;
            after = last_id(&page.rows, after)?;
            let ids: Vec<String> = page
                .rows
                .iter()
                .filter_map(|row| reference(&row["id"]))
                .map(|id| id.to_string())
                .collect();
            batch.more.extend(ids.chunks(IDS_PER_TASK).map(|ids| Task {
                list: Listing::of(entity.name()),
                content: Content::Full,
                since: None,
                at: At::Ids(ids.to_vec()),
            }));
            if !page.full {
                return Ok(batch);
            }
        }
    }

    fn fields(&self, list: &List, content: Content, meter: &Meter) -> Result<Vec<String>> {
        match (list, content) {
            (List::Satellite(_, satellite), _) => Ok(vec![satellite.link.to_owned()]),
            (List::Records(_), Content::Ids) => self.fields_of_stubs(list, meter),
            (List::Records(entity), Content::Full) => self.whole_fields(*entity, meter),
        }
    }

    /// Documents come with their lines, so fewer of them make a page; bare ids are small.
    pub(super) fn page_size(&self, list: &List, content: Content) -> u64 {
        let size = self.settings.page_size;
        match (list, content) {
            (List::Records(_), Content::Ids) => 5 * size,
            (List::Records(entity), Content::Full) if list::lines(*entity).is_some() => (size / 4).max(1),
            _ => size,
        }
    }

    /// A page of at most so many rows: fewer where that many are more than an answer may hold.
    pub(super) fn page(
        &self,
        model: &'static str,
        domain: &Value,
        fields: &[String],
        most: u64,
        meter: &Meter,
    ) -> Result<Page> {
        loop {
            let halved = self.halved.load(Ordering::Relaxed);
            let limit = most.checked_shr(halved).unwrap_or(0).max(1);
            match self.search_read(model, domain, fields, limit, meter) {
                // only one of the threads that meet it halves, the others follow
                Err(error) if limit > 1 && is_too_big(&error) => drop(self.halved.compare_exchange(
                    halved,
                    halved + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )),
                outcome => return outcome,
            }
        }
    }

    /// Rows in ascending id order.
    pub(super) fn search_read(
        &self,
        model: &'static str,
        domain: &Value,
        fields: &[String],
        limit: u64,
        meter: &Meter,
    ) -> Result<Page> {
        let mut args = Args::new();
        args.insert("domain".to_owned(), domain.clone());
        args.insert("fields".to_owned(), json!(fields));
        args.insert("order".to_owned(), json!("id asc"));
        args.insert("limit".to_owned(), json!(limit));
        let answer = self.api.call(model, "search_read", args, meter)?;
        let Value::Array(rows) = answer.value else {
            let message = format!("Odoo's answer for {model} is no list");
            return Err(Error::new(Code::Nonsense, message).hint("A customisation may change its answers."));
        };
        Ok(Page {
            full: rows.len() as u64 >= limit,
            rows,
            server_time: answer.server_time,
        })
    }
}

/// The part of a domain that a task's `since` amounts to. Odoo shows whole seconds and compares them (from 19 on)
/// or microseconds (before): `>=` with a whole second is complete either way.
fn since(task: &Task) -> Vec<Value> {
    let since = task.since.map(|since| json!(["write_date", ">=", stamp(since)]));
    since.into_iter().collect()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Where a page ends. One that is not in order would make the next begin in the wrong place.
pub(super) fn last_id(rows: &[Value], after: u64) -> Result<u64> {
    let mut last = after;
    for row in rows {
        let id = map::required_id(row)?;
        if id <= last {
            return Err(
                Error::new(Code::Nonsense, "Odoo's answer is not in the order of ids")
                    .hint("A customisation may change its answers. Nothing was marked as deleted."),
            );
        }
        last = id;
    }
    Ok(last)
}

fn stub(row: &Value, entity: EntityType) -> Result<Stub> {
    let lines = list::line_ids(entity).and_then(|name| row[name].as_array());
    Ok(Stub {
        named: Some(named_by(entity, row)),
        external_id: map::required_id(row)?.to_string(),
        modified_at: time(&row["write_date"]),
        lines: lines.map(Vec::len),
    })
}

fn ended(total: u64) -> Batch {
    Batch {
        total: Some(total),
        end: true,
        ..Batch::default()
    }
}

fn beside(list: &List) -> bool {
    matches!(list, List::Satellite(..))
}

fn unwatched(list: &List, task: &Task) -> String {
    format!(
        "The connector's user may not read {}: what only shows there ({}) is found by the next full pass.",
        list.model(),
        task.list
    )
}
