//! What an unfinished pull remembers: its checkpoint.

use crate::store::run::Unread;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use sync_engine::core::{Listing, Series};
use sync_engine::source::stack::Stack;
use sync_engine::source::{At, Content, Task};

/// Ids in one question.
const IDS_PER_TASK: usize = 100;

/// What is stored between two pages, and taken up after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Every record is read in full.
    pub full: bool,
    /// The remote's clock at the start.
    pub server_time: DateTime<Utc>,
    /// Listings whose totals together are the entity type.
    pub lists: Vec<Listing>,
    /// Listings of which every id is (being) read.
    pub sweeps: Vec<Listing>,
    /// From one window to the next; None where there are none, or a checkpoint doesn't tell.
    #[serde(default)]
    pub stride: Option<u64>,
    /// How many records are asked for alone, where lists of ids prove nothing.
    #[serde(default = "few")]
    pub alone_at_most: Option<usize>,
    /// Totals as the remote told them last.
    pub totals: BTreeMap<Series, u64>,
    /// How each is read.
    pub windows: BTreeMap<Series, (Content, Option<DateTime<Utc>>)>,
    pub stack: Stack,
    /// Ids that must be read in full, by listing, until there are enough for a request.
    #[serde(default)]
    pub pending: BTreeMap<Listing, Vec<String>>,
    pub processed: u64,
    /// Those that moved while they were read.
    #[serde(default)]
    pub moved: BTreeSet<Series>,
    /// Where the last window of one that goes on was, with which record it ended, and how many did so in a row.
    #[serde(default)]
    pub ends: BTreeMap<Series, (u64, String, u32)>,
    /// Records that could not be read, by id.
    #[serde(default)]
    pub unreadable: BTreeMap<String, Unread>,
}

impl State {
    /// Adds ids to read in full; as soon as they fill a request, it is on the stack.
    pub fn pend(&mut self, list: &Listing, ids: Vec<String>) {
        let pending = self.pending.entry(list.clone()).or_default();
        pending.extend(ids);
        while pending.len() >= IDS_PER_TASK {
            let rest = pending.split_off(IDS_PER_TASK);
            let full = std::mem::replace(pending, rest);
            self.stack.push(ask_for(list, &full));
        }
    }

    /// Whatever is left.
    pub fn flush(&mut self) {
        for (list, ids) in std::mem::take(&mut self.pending) {
            self.stack.push(ask_for(&list, &ids));
        }
    }
}

/// For checkpoints that don't tell: nothing is marked that wasn't asked for alone.
fn few() -> Option<usize> {
    Some(100)
}

/// What the remote says a listing holds, whichever way it is read.
pub(super) fn known_total(state: &State, list: &Listing) -> Option<u64> {
    state
        .totals
        .iter()
        .find(|(series, _)| series.listing() == list)
        .map(|(_, total)| *total)
}

/// Tasks that read these records in full.
pub(super) fn ask_for(list: &Listing, ids: &[String]) -> Vec<Task> {
    ids.chunks(IDS_PER_TASK)
        .map(|chunk| Task {
            list: list.clone(),
            content: Content::Full,
            since: None,
            at: At::Ids(chunk.to_vec()),
        })
        .collect()
}
