//! Questions that the shop breaks down over: halved until what is left answers, or the one record is found that can't be shown.

use super::list::List;
use super::page::{Failure, Page, Place};
use super::window::number;
use super::WooCommerce;
use crate::error::{Error, Result};
use crate::source::http::Meter;
use crate::source::{Content, Task, Unreadable};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Requests that may be spent on one question that fails; beyond, its error is the pull's.
const HALVINGS: usize = 120;
/// So many ids between two neighbours are looked through for the record that can't be shown.
const CANDIDATES: u64 = 2000;

/// Some neighbouring rows of a listing.
#[derive(Default)]
pub(super) struct Stretch {
    pub rows: Vec<Value>,
    pub total: Option<u64>,
    pub server_time: Option<DateTime<Utc>>,
    pub unreadable: Vec<Unreadable>,
    pub is_past_end: bool,
}

impl Stretch {
    fn of(offset: u64, page: Page) -> Self {
        let shown = page.rows.len() as u64;
        let is_past_end = shown == 0 && offset > 0 && page.total.is_none_or(|total| total <= offset);
        // fewer than are shown are no number of them
        let is_wrong = |total: u64| shown > 0 && total < offset + shown;
        Stretch {
            rows: page.rows,
            total: page.total.filter(|total| !is_past_end && !is_wrong(*total)),
            server_time: page.server_time,
            unreadable: Vec::new(),
            is_past_end,
        }
    }

    /// Records shown, and those that can't be.
    pub fn len(&self) -> u64 {
        (self.rows.len() + self.unreadable.len()) as u64
    }

    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        let unreadable = self.unreadable.iter().filter_map(|unread| unread.id.parse().ok());
        self.rows.iter().filter_map(number).chain(unreadable)
    }

    pub fn first(&self) -> Option<u64> {
        self.ids().min()
    }

    pub fn last(&self) -> Option<u64> {
        self.ids().max()
    }
}

/// What a question that failed has come to.
struct Halved {
    pages: Vec<(Place, Page)>,
    /// Places whose record can't be shown.
    bad: Vec<(u64, Error)>,
}

impl WooCommerce {
    /// Rows of a listing, in smaller portions where the shop breaks down over them; None where there is no such listing.
    pub(super) fn stretch(
        &self,
        list: &List,
        task: &Task,
        place: Place,
        meter: &Meter,
    ) -> Result<Option<Stretch>> {
        let failure = match self.page_at(list, task, place, meter) {
            Ok(page) => return Ok(page.map(|page| Stretch::of(place.offset, page))),
            Err(failure) => failure,
        };
        if !failure.may_be_size || place.is_backwards {
            return Err(failure.error);
        }
        let halved = self.halve(list, task, place, failure.error, meter)?;
        self.join(list, place, halved, meter).map(Some)
    }

    fn halve(&self, list: &List, task: &Task, place: Place, error: Error, meter: &Meter) -> Result<Halved> {
        let mut asked = 0;
        let mut ask = |offset: u64, rows: u64| {
            asked += 1;
            match asked > HALVINGS {
                true => Err(Failure {
                    error: error.clone(),
                    may_be_size: false,
                }),
                false => self.page_at(list, task, Place::new(offset, rows), meter),
            }
        };
        // Who fails over the first and over the last row may not be there at all.
        let end = place.offset + place.rows;
        let fails = ask(place.offset, 1).is_err() && (place.rows == 1 || ask(end - 1, 1).is_err());
        if fails && !self.is_there(list, meter) {
            return Err(error);
        }
        let mut halved = Halved {
            pages: Vec::new(),
            bad: Vec::new(),
        };
        let mut open = match place.rows {
            1 => Vec::new(),
            rows => vec![
                (place.offset + rows / 2, rows - rows / 2),
                (place.offset, rows / 2),
            ],
        };
        if open.is_empty() {
            halved.bad.push((place.offset, error.clone()));
        }
        while let Some((offset, rows)) = open.pop() {
            match ask(offset, rows) {
                Ok(page) => halved
                    .pages
                    .extend(page.map(|page| (Place::new(offset, rows), page))),
                Err(failure) if !failure.may_be_size => return Err(failure.error),
                Err(failure) if rows == 1 => halved.bad.push((offset, failure.error)),
                Err(_) => open.extend([(offset + rows / 2, rows - rows / 2), (offset, rows / 2)]),
            }
        }
        Ok(halved)
    }

    /// Puts the portions together.
    fn join(&self, list: &List, place: Place, halved: Halved, meter: &Meter) -> Result<Stretch> {
        let Halved { pages, bad } = halved;
        if bad.is_empty() {
            // it was the number of rows
            if let Some(rows) = pages.iter().map(|(place, _)| place.rows).max() {
                self.note_page_size(list, rows);
            }
        }
        let mut stretch = Stretch::default();
        for (at, page) in pages {
            let piece = Stretch::of(at.offset, page);
            if piece.is_past_end {
                stretch.is_past_end |= at.offset == place.offset;
                continue;
            }
            let moved = stretch.total.is_some() && stretch.total != piece.total;
            let first = piece.first();
            if moved || first.is_some() && first <= stretch.last() {
                return Err(super::page::another(list, "other records while they are read"));
            }
            stretch.total = piece.total;
            stretch.server_time = stretch.server_time.or(piece.server_time);
            stretch.rows.extend(piece.rows);
        }
        let mut found = None;
        for (offset, error) in bad {
            let before = (offset - place.offset) as usize - stretch.unreadable.len();
            let shown = before.checked_sub(1).and_then(|at| stretch.rows.get(at));
            // one that was found stands between those that are shown, too
            let after = shown.and_then(number).max(found);
            let until = stretch.rows.get(before).and_then(number);
            let id = self.culprit(list, after, until, meter);
            found = found.max(id);
            let named = |id: u64| id.to_string();
            stretch.unreadable.push(Unreadable {
                id: id.map_or_else(|| between(after, until), named),
                reason: reason(&error),
            });
        }
        Ok(stretch)
    }

    /// The id of the record between two others that can't be shown: asking for it, among others, fails.
    fn culprit(&self, list: &List, after: Option<u64>, until: Option<u64>, meter: &Meter) -> Option<u64> {
        let after = match after {
            Some(after) => after,
            None => until?.saturating_sub(CANDIDATES),
        };
        let until = until.unwrap_or(after + 101);
        if until - after > CANDIDATES {
            return None;
        }
        let mut open: Vec<(u64, u64)> = Vec::new();
        let mut from = after + 1;
        while from < until {
            open.insert(0, (from, until.min(from + 100)));
            from += 100;
        }
        while let Some((from, to)) = open.pop() {
            let ids: Vec<String> = (from..to).map(|id| id.to_string()).collect();
            match self.page_of(list, Content::Ids, &ids, meter) {
                Ok(_) => {}
                Err(failure) if !failure.may_be_size => return None,
                Err(_) if to - from == 1 => return Some(from),
                Err(_) => {
                    let middle = from + (to - from) / 2;
                    open = vec![(middle, to), (from, middle)];
                }
            }
        }
        None
    }
}

fn between(after: Option<u64>, until: Option<u64>) -> String {
    match (after, until) {
        (Some(after), Some(until)) => format!("between {after} and {until}"),
        (Some(after), None) => format!("behind {after}"),
        (None, Some(until)) => format!("before {until}"),
        (None, None) => "of an unknown id".to_owned(),
    }
}

/// What an error says to people.
pub(super) fn reason(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}
