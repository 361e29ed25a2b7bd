//! What a pull came to, and how it is told.

use crate::job::run::Outcome;
use crate::store::ledger::Counts;
use crate::store::outcome::Ended;
use crate::store::run::RunKey;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use sync_engine::core::EntityType;

pub(super) struct Summary {
    /// Something could not be read.
    pub is_partial: bool,
    /// Records that could not be read.
    pub unreadable: usize,
    pub full: bool,
    pub resumed: bool,
    /// It took up what another pull had begun longer ago than the overlap that every pass reads again.
    pub resumed_late: bool,
    /// That the remote has.
    pub records: i64,
    pub counts: Counts,
    pub deleted: u64,
    pub linked: u64,
    pub requests: u64,
    pub warnings: BTreeSet<String>,
}

impl Summary {
    /// Adds what a second pass brought.
    pub fn follow(&mut self, second: Summary) {
        self.is_partial = second.is_partial;
        self.unreadable = second.unreadable;
        self.records = second.records;
        self.counts += second.counts;
        self.deleted += second.deleted;
        self.linked += second.linked;
        self.requests += second.requests;
        self.warnings.extend(second.warnings);
    }

    /// The run's result, as `sync_pull` returns it.
    pub fn outcome(self, key: &RunKey, entity: EntityType, took: Duration) -> Outcome {
        let Counts {
            inserted,
            updated,
            unchanged,
        } = self.counts;
        let result = json!({
            "syncId": key.sync_id,
            "syncType": key.sync_type,
            "entityType": entity.name(),
            "status": if self.is_partial { "partial" } else { "success" },
            "pass": if self.full { "full" } else { "incremental" },
            "resumed": self.resumed,
            "records": self.records,
            "inserted": inserted,
            "updated": updated,
            "unchanged": unchanged,
            "deleted": self.deleted,
            "unreadable": self.unreadable,
            "linked": self.linked,
            "requests": self.requests,
            "warnings": self.warnings,
            "durationMs": took.as_millis() as u64,
        });
        Outcome {
            ended: match self.is_partial {
                true => Ended::partly(self.unreadable as u64),
                false => Ended::well(),
            },
            result,
            count: inserted + updated + self.deleted,
        }
    }
}
