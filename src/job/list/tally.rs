//! What a run came to: counts, errors, and the same by user.

use crate::job::run::fitting;
use crate::store::list::Item;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use sync_engine::error::Error;

/// Errors that are told one by one; the others are on the items themselves.
const ERRORS_TOLD: usize = 100;
/// Longest text of one.
const ERROR_LENGTH: usize = 500;

/// How an item went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    Created,
    Updated,
    Unchanged,
    Skipped,
    Failed,
}

impl Went {
    pub const fn name(self) -> &'static str {
        match self {
            Went::Created => "created",
            Went::Updated => "updated",
            Went::Unchanged => "unchanged",
            Went::Skipped => "skipped",
            Went::Failed => "failed",
        }
    }
}

/// Counts of a run, or of one user's part of it.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    errors: Vec<(String, String)>,
    notes: Vec<(String, String)>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub all: Counts,
    pub by_user: BTreeMap<Option<String>, Counts>,
}

impl Tally {
    pub fn add(&mut self, item: &Item, went: Went, error: Option<&Error>) {
        let told = error.map(|error| (item.id.clone(), told(error)));
        self.count(item.user_id.clone(), went, told);
    }

    /// An id that was asked for and is no item's.
    pub fn add_unknown(&mut self, id: String, user: Option<String>, error: &Error) {
        self.count(user, Went::Failed, Some((id, told(error))));
    }

    fn count(&mut self, user: Option<String>, went: Went, error: Option<(String, String)>) {
        self.all.add(went, error.clone());
        self.by_user.entry(user).or_default().add(went, error);
    }

    /// What should be known of an item that went well.
    pub fn note(&mut self, item: &Item, notes: &[String]) {
        let by_user = self.by_user.entry(item.user_id.clone()).or_default();
        for counts in [&mut self.all, by_user] {
            let room = ERRORS_TOLD.saturating_sub(counts.notes.len());
            let notes = notes.iter().take(room);
            counts
                .notes
                .extend(notes.map(|note| (item.id.clone(), note.clone())));
        }
    }
}

impl Counts {
    fn add(&mut self, went: Went, error: Option<(String, String)>) {
        *match went {
            Went::Created => &mut self.created,
            Went::Updated => &mut self.updated,
            Went::Unchanged => &mut self.unchanged,
            Went::Skipped => &mut self.skipped,
            Went::Failed => &mut self.failed,
        } += 1;
        self.errors
            .extend(error.filter(|_| self.errors.len() < ERRORS_TOLD));
    }

    pub fn processed(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.skipped + self.failed
    }

    pub fn status(&self) -> &'static str {
        match self.failed {
            0 => "completed",
            failed if failed == self.processed() => "failed",
            _ => "partial_success",
        }
    }

    pub fn first_error(&self) -> Option<&str> {
        self.errors.first().map(|(_, error)| error.as_str())
    }

    /// `[{"itemId", "error"}]`, as many as fit.
    pub fn errors(&self) -> Vec<Value> {
        fitting(
            self.errors
                .iter()
                .map(|(item, error)| json!({ "itemId": item, "error": error })),
        )
    }

    /// `[{"itemId", "warning"}]`, as many as fit.
    pub fn warnings(&self) -> Vec<Value> {
        fitting(
            self.notes
                .iter()
                .map(|(item, note)| json!({ "itemId": item, "warning": note })),
        )
    }
}

/// An error in one text, with what the remote said.
pub fn told(error: &Error) -> String {
    let text = match &error.detail {
        Some(detail) => format!("{}: {detail}", error.message),
        None => error.message.clone(),
    };
    text.chars().take(ERROR_LENGTH).collect()
}
