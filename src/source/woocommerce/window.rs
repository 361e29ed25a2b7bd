//! Windows of a listing: what a short or empty one means, and which follow.
//!
//! A page that is shorter than it could be is believed in nothing until it was asked again in another way: a host or plugin
//! may cap pages, empty them, or drop rows. What is capped is read on by the rows that come. Rows that no way of asking shows
//! are `unshown`.

use super::halve::Stretch;
use super::list::List;
use super::map;
use super::page::{another, Place};
use super::WooCommerce;
use crate::error::{Code, Error, Result};
use crate::source::http::Meter;
use crate::source::{At, Batch, Task};
use serde_json::Value;
use std::collections::HashSet;

/// Rows of a window that shows nothing which are asked for alone.
const SAMPLES: u64 = 5;

/// A window as it turned out.
struct Window {
    stretch: Stretch,
    /// How many places of the listing it stands for.
    places: u64,
    /// How many of them the shop counts and shows in no way.
    unshown: u64,
    /// There is more, though it is shorter than it should be, and no number says so.
    goes_on: bool,
}

impl WooCommerce {
    /// Reads the window that a task names.
    pub(super) fn window(&self, list: &List, task: &Task, offset: u64, meter: &Meter) -> Result<Batch> {
        let (size, window) = loop {
            let size = self.page_size(list);
            let Some(stretch) = self.stretch(list, task, Place::new(offset, size), meter)? else {
                return Ok(Batch {
                    total: Some(0),
                    end: true,
                    ..super::read::none(list)?
                });
            };
            if let Some(window) = self.look(list, task, offset, size, stretch, meter)? {
                break (size, window);
            }
        };
        let shown = window.stretch.len();
        let total = window.stretch.total;
        let mut batch = self.batch(list, task, &window.stretch.rows, meter)?;
        batch.server_time = window.stretch.server_time;
        batch.unreadable.extend(window.stretch.unreadable);
        batch.total = total;
        batch.unshown = window.unshown;
        let reaches_end = total.map_or(!window.goes_on, |total| offset + window.places >= total);
        batch.end = shown < size && reaches_end;
        if !batch.end {
            let last = offset + window.places.max(2) - 1;
            match task.at {
                At::Until { until, .. } if last < until => batch.more.push(Task {
                    at: At::Until { offset: last, until },
                    ..task.clone()
                }),
                At::Offset(0) | At::Tail(_) => batch.more.extend(following(task, last, total, window.places)),
                _ => {}
            }
        }
        Ok(batch)
    }

    /// What a window is that may be shorter than it should be; None: fewer rows are to be asked for.
    fn look(
        &self,
        list: &List,
        task: &Task,
        offset: u64,
        size: u64,
        stretch: Stretch,
        meter: &Meter,
    ) -> Result<Option<Window>> {
        let shown = stretch.len();
        let expected = match stretch.total {
            Some(total) => total.saturating_sub(offset).min(size),
            // Past the end, HPOS shops say that there is nothing at all.
            None if stretch.is_past_end => 0,
            None => size,
        };
        let whole = |stretch| Window {
            stretch,
            places: size,
            unshown: 0,
            goes_on: false,
        };
        if shown >= expected {
            return Ok(Some(whole(stretch)));
        }
        if shown == 0 {
            let window = self.look_at_nothing(list, task, offset, expected, stretch, meter);
            return window.map(Some);
        }
        // what the last row shown is followed by
        let rest = Place::new(offset + shown - 1, expected - shown + 1);
        let more = self.stretch(list, task, rest, meter)?.unwrap_or_default();
        if more.last() > stretch.last() {
            return self.go_on(list, shown, stretch, &more);
        }
        if stretch.total.is_none() {
            // rows before its end may not be shown: what is behind all of it tells
            let behind = self.stretch(list, task, Place::new(offset + size, 1), meter)?;
            return Ok(Some(Window {
                goes_on: behind.is_some_and(|behind| behind.last() > stretch.last()),
                ..whole(stretch)
            }));
        }
        // the same rows from another place, for who drops rows by theirs
        self.confirm(list, task, Place::new(offset + 1, shown.max(2)), &stretch, meter)?;
        Ok(Some(Window {
            unshown: expected - shown,
            ..whole(stretch)
        }))
    }

    /// A window that `more` goes on from its last row: it stands for the rows that came.
    fn go_on(&self, list: &List, shown: u64, stretch: Stretch, more: &Stretch) -> Result<Option<Window>> {
        let has_moved = more.total != stretch.total;
        if !has_moved && more.first() != stretch.last() {
            // rows are missing before its end, too: which, fewer at once may tell
            return match shown / 2 {
                0 | 1 => Err(another(list, "other records each time")),
                fewer => {
                    self.note_page_size(list, fewer);
                    Ok(None)
                }
            };
        }
        if !has_moved {
            if shown < 2 {
                return Err(another(list, "one record at a time"));
            }
            self.note_page_size(list, shown);
        }
        Ok(Some(Window {
            stretch,
            places: shown,
            unshown: 0,
            goes_on: true,
        }))
    }

    /// Asks for a part of a stretch again: another row there means that rows are dropped at random, or by their places.
    fn confirm(
        &self,
        list: &List,
        task: &Task,
        place: Place,
        stretch: &Stretch,
        meter: &Meter,
    ) -> Result<()> {
        let Some(again) = self.stretch(list, task, place, meter)? else {
            return Ok(());
        };
        let known: HashSet<u64> = stretch.ids().collect();
        let last = stretch.last();
        let is_new = |id: u64| !known.contains(&id) && Some(id) < last;
        if again.total == stretch.total && again.ids().any(is_new) {
            return Err(another(list, "other records each time"));
        }
        Ok(())
    }

    /// A window that shows nothing of what it should: asked for from the other end, and row by row.
    fn look_at_nothing(
        &self,
        list: &List,
        task: &Task,
        offset: u64,
        expected: u64,
        stretch: Stretch,
        meter: &Meter,
    ) -> Result<Window> {
        let backwards = Place {
            offset: stretch.total.map_or(0, |total| total - offset - expected),
            rows: if stretch.total.is_some() { expected } else { 1 },
            is_backwards: true,
        };
        if let Some(found) = self
            .stretch(list, task, backwards, meter)?
            .filter(|found| found.len() > 0)
        {
            if stretch.total.is_none() || found.len() < expected || found.total != stretch.total {
                return Err(nothing(list, stretch.total));
            }
            return Ok(Window {
                places: expected,
                unshown: 0,
                goes_on: false,
                stretch: found,
            });
        }
        // single rows first: where none of some shows anything either, nothing is asked in between
        if stretch.total.is_some() && self.shows_any(list, task, offset, expected, meter)? {
            return self.first_portion(list, task, offset, expected, meter);
        }
        if offset == 0 && task.since.is_none() && stretch.total.is_some() && !list.holds_variations() {
            return Err(nothing(list, stretch.total));
        }
        let unshown = if stretch.total.is_some() { expected } else { 0 };
        Ok(Window {
            places: expected,
            unshown,
            goes_on: false,
            stretch,
        })
    }

    /// Whether one of some single rows of a window is shown. Not the first alone: that may be one which the shop never shows.
    fn shows_any(&self, list: &List, task: &Task, offset: u64, expected: u64, meter: &Meter) -> Result<bool> {
        let mut places: Vec<u64> = (0..SAMPLES)
            .map(|n| offset + expected.saturating_sub(1) * n / (SAMPLES - 1))
            .collect();
        places.dedup();
        for place in places {
            let one = self.stretch(list, task, Place::new(place, 1), meter)?;
            if one.is_some_and(|one| one.len() > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first rows of a window that shows some of them by fewer at once.
    fn first_portion(
        &self,
        list: &List,
        task: &Task,
        offset: u64,
        expected: u64,
        meter: &Meter,
    ) -> Result<Window> {
        let mut rows = (expected / 2).max(2);
        while rows > 1 {
            if let Some(found) = self
                .stretch(list, task, Place::new(offset, rows), meter)?
                .filter(|found| found.len() > 1)
            {
                self.note_page_size(list, rows);
                return Ok(Window {
                    places: found.len(),
                    unshown: 0,
                    goes_on: false,
                    stretch: found,
                });
            }
            rows /= 2;
        }
        Err(another(list, "one record at a time"))
    }
}

/// The error for a listing that shows nothing of what it counts.
fn nothing(list: &List, total: Option<u64>) -> Error {
    let counted = total.map_or_else(|| "its".to_owned(), |total| format!("the {total}"));
    Error::new(
        Code::Nonsense,
        format!("the shop shows none of {counted} {} that it counts", list.route()),
    )
    .hint("A plugin or a limit of the host empties the API's answers. Nothing was marked as deleted.")
}

/// The windows from `last` on, that is from the last row of a window of `size`: the last one first, as whoever works on a
/// stack reads them in order.
pub(super) fn following(task: &Task, last: u64, total: Option<u64>, size: u64) -> Vec<Task> {
    let size = size.max(2);
    let task_at = |at: At| Task { at, ..task.clone() };
    let mut offsets = vec![last];
    let mut at = last;
    while total.is_some_and(|total| at + size <= total) {
        at += size - 1;
        offsets.push(at);
    }
    let tail = offsets.pop().map(|offset| task_at(At::Tail(offset)));
    let offsets = offsets.into_iter().rev();
    tail.into_iter()
        .chain(offsets.map(|offset| task_at(At::Offset(offset))))
        .collect()
}

/// A row's id as a number.
pub(super) fn number(row: &Value) -> Option<u64> {
    map::id(row)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::source::Content;

    fn windows(last: u64, total: Option<u64>, size: u64) -> Vec<At> {
        let task = Task {
            list: "orders".into(),
            content: Content::Full,
            since: None,
            at: At::Offset(0),
        };
        let tasks = following(&task, last, total, size).into_iter();
        tasks.map(|task| task.at).collect()
    }

    #[test]
    fn windows_overlap_by_one_and_end_with_one_that_is_not_full() {
        assert_eq!(windows(99, Some(100), 100), [At::Tail(99)]);
        assert_eq!(windows(99, Some(198), 100), [At::Tail(99)]);
        assert_eq!(windows(99, Some(199), 100), [At::Tail(198), At::Offset(99)]);
        assert_eq!(
            windows(99, Some(355), 100),
            [At::Tail(297), At::Offset(198), At::Offset(99)]
        );
        assert_eq!(windows(396, Some(397), 100), [At::Tail(396)]);
        assert_eq!(windows(99, None, 100), [At::Tail(99)]);
        assert_eq!(
            windows(9, Some(30), 10),
            [At::Tail(27), At::Offset(18), At::Offset(9)]
        );
    }
}
