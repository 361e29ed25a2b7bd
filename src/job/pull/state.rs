//! What an unfinished pull remembers: its checkpoint.

use crate::store::run::Unread;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    pub lists: Vec<String>,
    /// Listings of which every id is (being) read.
    pub sweeps: Vec<String>,
    /// How many records are asked for alone, where lists of ids prove nothing.
    #[serde(default = "few")]
    pub alone_at_most: Option<usize>,
    /// Totals as the remote told them last, by window key.
    pub totals: BTreeMap<String, u64>,
    /// How each windowed listing is read, by window key.
    pub windows: BTreeMap<String, (Content, Option<DateTime<Utc>>)>,
    pub stack: Stack,
    /// Ids that must be read in full, by listing, until there are enough for a request.
    #[serde(default)]
    pub pending: BTreeMap<String, Vec<String>>,
    pub processed: u64,
    /// Windowed listings that moved while they were read.
    #[serde(default)]
    pub moved: BTreeSet<String>,
    /// Where the last window of a listing that goes on was, with which record it ended, and how many did so in a row, by
    /// window key.
    #[serde(default)]
    pub ends: BTreeMap<String, (u64, String, u32)>,
    /// Records that could not be read, by id.
    #[serde(default)]
    pub unreadable: BTreeMap<String, Unread>,
}

impl State {
    /// Adds ids to read in full; as soon as they fill a request, it is on the stack.
    pub fn pend(&mut self, list: &str, ids: Vec<String>) {
        let pending = self.pending.entry(list.to_owned()).or_default();
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

/// Windows of a listing and of its changes since some time are told apart.
pub(super) fn window_key(task: &Task) -> String {
    match task.since {
        Some(since) => format!("{}@{}", task.list, since.timestamp()),
        None => task.list.clone(),
    }
}

/// What the remote says a listing holds, whichever way it is read.
pub(super) fn known_total(state: &State, list: &str) -> Option<u64> {
    state
        .totals
        .iter()
        .find(|(key, _)| key.split('@').next() == Some(list))
        .map(|(_, total)| *total)
}

/// Tasks that read these records in full.
pub(super) fn ask_for(list: &str, ids: &[String]) -> Vec<Task> {
    ids.chunks(IDS_PER_TASK)
        .map(|chunk| Task {
            list: list.to_owned(),
            content: Content::Full,
            since: None,
            at: At::Ids(chunk.to_vec()),
        })
        .collect()
}
