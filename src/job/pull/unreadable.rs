//! Records that are there and can't be read: they stay as they were, are named, and are asked for again by the next pull.

use super::state::{ask_for, State};
use crate::store::run::Unread;
use std::collections::BTreeMap;
use sync_engine::core::Listing;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{Task, Unreadable};

/// Records of an entity type that can't be read, beyond which the pull fails: then it isn't the records.
pub(super) const AT_MOST: usize = 1000;
/// So many of them are named in warnings and results.
const NAMED: usize = 20;
/// Characters of a reason.
const REASON: usize = 300;

impl State {
    /// Notes what a task could not read, and forgets what it could.
    pub fn note_unreadable<'r>(
        &mut self,
        list: &Listing,
        found: Vec<Unreadable>,
        read: impl Iterator<Item = &'r str>,
    ) -> Result<()> {
        if !self.unreadable.is_empty() {
            for id in read {
                self.unreadable.remove(id);
            }
        }
        for Unreadable { id, reason } in found {
            let reason = reason.chars().take(REASON).collect();
            let list = list.clone();
            self.unreadable.insert(id, Unread { list, reason });
        }
        if self.unreadable.len() > AT_MOST {
            return Err(Error::new(
                Code::Nonsense,
                format!("more than {AT_MOST} records can't be read"),
            )
            .detail(told(&self.unreadable))
            .hint("Nothing was marked as deleted. Look for a plugin or a customisation of the remote that changes its answers."));
        }
        Ok(())
    }
}

/// What reads them again.
pub(super) fn again(unreadable: &BTreeMap<String, Unread>) -> Vec<Task> {
    let mut lists: BTreeMap<&Listing, Vec<String>> = BTreeMap::new();
    for (id, unread) in unreadable {
        lists.entry(&unread.list).or_default().push(id.clone());
    }
    let tasks = lists.into_iter().flat_map(|(list, ids)| ask_for(list, &ids));
    tasks.collect()
}

/// The first of them with their reasons, and how many more there are.
pub(super) fn told(unreadable: &BTreeMap<String, Unread>) -> String {
    let named = unreadable.iter().take(NAMED);
    let mut told: Vec<String> = named
        .map(|(id, unread)| format!("{id} ({})", unread.reason))
        .collect();
    if unreadable.len() > NAMED {
        told.push(format!("and {} more", unreadable.len() - NAMED));
    }
    told.join(", ")
}
