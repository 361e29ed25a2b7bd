//! What a pull could not read or prove: said, and left as it was.

use super::{unreadable, Pull};
use sync_engine::core::{Listing, Series};
use sync_engine::error::Result;

impl Pull<'_> {
    /// Rows that the remote counts and doesn't show, as the sweeps of this pull have found them.
    pub(super) fn count_unshown(&mut self, resumed: bool) -> Result<()> {
        for list in &self.state.sweeps {
            // windows from before a crash may be hours older than the others
            let has_moved = resumed || self.state.moved.contains(&Series::whole(list));
            let short = self.short.get(list).copied().unwrap_or_default();
            let found = self.ledger.unshown(list, has_moved)?.map(|rows| rows + short);
            self.unshown.remove(list);
            self.unshown.extend(found.map(|rows| (list.clone(), rows)));
        }
        Ok(())
    }

    /// How many records of a listing it is known not to show.
    pub(super) fn unlisted_in(&self, list: &Listing) -> u64 {
        self.unlisted.values().filter(|known| known.list == *list).count() as u64
    }

    /// Warns of everything that stays open; whether the pull is partial by that.
    pub(super) fn tell_doubts(&mut self) -> bool {
        let name = self.ledger.entity.name();
        let mut warnings = Vec::new();
        if self.hidden > 0 {
            warnings.push(format!(
                "{} {name} are no longer visible to the connector's user, but not proven deleted (record rules, companies, \
                 access rights): they are kept as they were.",
                self.hidden
            ));
        }
        let unreadable = &self.state.unreadable;
        if !unreadable.is_empty() {
            warnings.push(format!(
                "{} {name} could not be read, and are kept as they were: {}.",
                unreadable.len(),
                unreadable::told(unreadable)
            ));
        }
        if !self.unlisted.is_empty() {
            warnings.push(format!(
                "{} {name} are in no listing of the remote, and answer when they are asked for by id (a plugin hides them, or \
                 their status is not known any more): they are kept, and asked for again by full passes. New ones of their kind can't \
                 be found.",
                self.unlisted.len()
            ));
        }
        if self.unasked > 0 {
            warnings.push(format!(
                "{} {name} are in no listing of the remote, and {} were asked for by id, which is what a pull may \
                 (deletion_checks in the connector's settings): the others are kept, and later pulls ask for them.",
                self.unasked + self.asked_alone,
                self.asked_alone
            ));
        }
        let mut is_partial = !unreadable.is_empty();
        for (list, rows) in &self.unshown {
            // rows that lists leave out and count may be those that answer alone
            let rows = rows.saturating_sub(self.unlisted_in(list));
            if rows == 0 {
                continue;
            }
            warnings.push(format!(
                "The remote counts {rows} more {list} than it shows, however it is asked."
            ));
            is_partial |= !self.pool.source().counts_no_records(list);
        }
        self.warnings.extend(warnings);
        is_partial
    }
}
