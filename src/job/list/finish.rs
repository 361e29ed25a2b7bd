//! The end of a run: history, the run's own row, and the reply.

use super::tally::{told, Counts};
use super::Run;
use crate::job::run::{fitting, maintain};
use crate::pg::ending;
use crate::request::{List, ListMode};
use crate::store::list::{self as store, History, Item};
use crate::store::outcome::{self, Ended};
use crate::store::transaction::closing;
use serde_json::{json, Value};
use sync_engine::core::ItemType;
use sync_engine::error::{Error, Result};

/// Errors of one user that `sync_scheduled` tells.
const ERRORS_PER_USER: usize = 5;

impl Run<'_> {
    /// In whose history an item belongs: who called, or, where nobody did, whose item it is.
    pub(super) fn history_user(&self, item: &Item) -> Option<String> {
        match self.mode {
            ListMode::Scheduled => item.user_id.clone(),
            _ => self.key.user_id.clone(),
        }
    }

    /// The history of a user in this run, begun when it is first needed: what is written locally refers to it.
    pub(super) fn open_history(&mut self, user: Option<String>) -> Result<String> {
        if let Some(id) = self.histories.get(&user) {
            return Ok(id.clone());
        }
        let entry = History {
            user_id: user.as_deref(),
            sync_type: self.key.kind,
            metadata: json!({ "operation": "list", "syncId": self.key.sync_id }),
            ..History::default()
        };
        let id = closing(|| store::open_history(&self.key.org, &entry))?;
        self.histories.insert(user, id.clone());
        Ok(id)
    }

    pub(super) fn finish(mut self, list: &List, total: u64, went: Result<bool>) -> Result<Value> {
        let error = went.err();
        let closed = match list.mode {
            ListMode::Scheduled => self.by_user(list, total, error.as_ref()),
            _ => self.whole(list, error.as_ref()),
        };
        if let Some(error) = error {
            // the error is the one to tell, even where this fails too
            let _ = closing(|| outcome::fail(&self.key, &error, ending::told()));
            return Err(error);
        }
        let reply = closed?;
        let all = &self.tally.all;
        let ended = Ended::counted(all.failed, all.processed(), all.first_error());
        closing(|| outcome::finish(&self.key, &ended, &reply, all.processed()))?;
        maintain();
        Ok(reply)
    }

    /// The reply of `sync_delta` and `sync_full`.
    fn whole(&mut self, list: &List, error: Option<&Error>) -> Result<Value> {
        let counts = self.tally.all.clone();
        let id = self.close_history(list, self.key.user_id.clone(), &counts, error)?;
        Ok(json!({
            "syncHistoryId": id,
            "status": counts.status(),
            "itemsProcessed": counts.processed(),
            "itemsCreated": counts.created,
            "itemsUpdated": counts.updated,
            "itemsUnchanged": counts.unchanged,
            "itemsSkipped": counts.skipped,
            "itemsFailed": counts.failed,
            "duration": self.begun.elapsed().as_millis() as u64,
            "errors": counts.errors(),
            "warnings": counts.warnings(),
        }))
    }

    /// What `sync_scheduled` adds up: each user's items, with a history of their own.
    fn by_user(&mut self, list: &List, total: u64, error: Option<&Error>) -> Result<Value> {
        let mut users = Vec::new();
        for (user, counts) in self.tally.by_user.clone() {
            let id = self.close_history(list, user.clone(), &counts, error)?;
            let errors = || counts.errors().into_iter().take(ERRORS_PER_USER);
            users.push(json!({
                "orgId": self.key.org,
                "userId": user,
                "syncHistoryId": id,
                "status": counts.status(),
                "itemsProcessed": counts.processed(),
                "itemsSucceeded": counts.processed() - counts.failed,
                "itemsFailed": counts.failed,
                "errors": errors().map(|e| in_one_text(&e)).collect::<Vec<_>>(),
                "errorDetails": errors().collect::<Vec<_>>(),
                "warnings": counts.warnings().into_iter().take(ERRORS_PER_USER).collect::<Vec<_>>(),
            }));
        }
        let all = self.tally.all.clone();
        self.note_whole(&all, users.len(), error)?;
        Ok(json!({
            "status": all.status(),
            "totalItems": total,
            "itemsProcessed": all.processed(),
            "itemsFailed": all.failed,
            "users": fitting(users.into_iter()),
        }))
    }

    /// The run as a whole, which is nobody's.
    fn note_whole(&self, counts: &Counts, users: usize, error: Option<&Error>) -> Result<()> {
        let metadata = json!({
            "operation": "scheduled",
            "syncId": self.key.sync_id,
            "users": users,
            "errorsOmitted": counts.failed - counts.errors().len() as u64,
            "errors": counts.errors(),
            "error": error.map(told),
        });
        let entry = self.entry(counts, error, metadata);
        closing(|| {
            let id = store::open_history(&self.key.org, &entry)?;
            store::close_history(&self.key.org, &id, &entry)
        })
    }

    fn entry(&self, counts: &Counts, error: Option<&Error>, metadata: Value) -> History<'_> {
        History {
            user_id: None,
            sync_type: self.key.kind,
            status: if error.is_some() {
                "failed"
            } else {
                counts.status()
            },
            items_processed: counts.processed(),
            items_created: counts.created,
            items_updated: counts.updated,
            items_failed: counts.failed,
            duration_ms: self.begun.elapsed().as_millis() as u64,
            metadata,
        }
    }

    fn close_history(
        &mut self,
        list: &List,
        user: Option<String>,
        counts: &Counts,
        error: Option<&Error>,
    ) -> Result<String> {
        let id = self.open_history(user)?;
        let metadata = json!({
            "operation": "list",
            "syncId": self.key.sync_id,
            "itemType": list.item_type.map(ItemType::name),
            "itemsChosen": list.ids.as_ref().map(Vec::len),
            "itemsUnchanged": counts.unchanged,
            "itemsSkipped": counts.skipped,
            "errorsOmitted": counts.failed - counts.errors().len() as u64,
            "errors": counts.errors(),
            "warnings": counts.warnings(),
            "error": error.map(told),
        });
        let entry = self.entry(counts, error, metadata);
        closing(|| store::close_history(&self.key.org, &id, &entry))?;
        Ok(id)
    }
}

/// `itemId: error`
fn in_one_text(error: &Value) -> String {
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("itemId"), text("error"))
}
