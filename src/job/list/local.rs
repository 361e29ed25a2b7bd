//! Items whose target is this database: written set-based, as `sync_apply` writes.

use super::step::Write;
use super::tally::Went;
use super::write::well;
use super::{Run, LOCAL};
use crate::store::list::{self as store, Applied, Item};
use crate::store::transaction::yielding;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use sync_engine::core::EntityType;
use sync_engine::error::{Code, Error, Result};

/// How long a scheduled run waits for a pull or an apply of the same records. Then it leaves them for the next call: other
/// items have been waiting as well.
const OTHERS_TURN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Items of one connector and entity type that belong into one history, and carry the same fields.
type Group = (String, EntityType, Option<String>, Option<Vec<String>>);

impl Run<'_> {
    pub(super) fn write_locally(&mut self, writes: Vec<Write>) -> Result<()> {
        let mut groups: BTreeMap<Group, Vec<Write>> = BTreeMap::new();
        for write in writes {
            let group = (
                write.item.source_platform.clone(),
                write.item.entity,
                self.history_user(&write.item),
                write.item.fields.clone(),
            );
            groups.entry(group).or_default().push(write);
        }
        for ((platform, entity, user, only), writes) in groups {
            match self.apply(&platform, entity, user, only.as_deref(), &writes) {
                Ok(applied) => self.settle_applied(&platform, entity, writes, applied),
                Err(error) if error.code == Code::Busy => drop(self.busy.insert((platform, entity))),
                Err(error) => {
                    for write in &writes {
                        self.failed(&write.item, &error);
                    }
                }
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        platform: &str,
        entity: EntityType,
        user: Option<String>,
        only: Option<&[String]>,
        writes: &[Write],
    ) -> Result<Vec<Applied>> {
        let connector = self.remotes.usable(platform)?.connector.number;
        let history = self.open_history(user)?;
        let ids = |forced: bool| -> Vec<String> {
            let wanted = writes
                .iter()
                .filter(|write| !forced || self.writes_all(&write.item));
            wanted.map(|write| write.item.source_id.clone()).collect()
        };
        let (all, forced) = (ids(false), ids(true));
        // a relation without triggers is read anew once in a run
        let rescan = self.rescanned.insert((platform.to_owned(), entity));
        let begun = Instant::now();
        loop {
            let org = &self.key.org;
            let done =
                yielding(|| store::apply(org, connector, entity, &all, &forced, only, rescan, &history));
            match done {
                Err(error) if error.code == Code::Busy && !self.leaves_busy(begun) => self.crew.pause(PAUSE),
                done => return done,
            }
        }
    }

    /// Who called for it waits as long as it takes, as a second pull does.
    fn leaves_busy(&self, begun: Instant) -> bool {
        self.is_late() || self.deadline.is_some() && begun.elapsed() >= OTHERS_TURN
    }

    /// Whether another run is at the records that an item is to be written from.
    pub(super) fn is_busy(&self, item: &Item) -> bool {
        !self.busy.is_empty()
            && item.target_platform == LOCAL
            && self.busy.contains(&(item.source_platform.clone(), item.entity))
    }

    fn settle_applied(
        &mut self,
        platform: &str,
        entity: EntityType,
        writes: Vec<Write>,
        applied: Vec<Applied>,
    ) {
        let mut by_id: HashMap<String, Applied> = applied
            .into_iter()
            .map(|one| (one.external_id.clone(), one))
            .collect();
        for write in writes {
            let Some(one) = by_id.get_mut(&write.item.source_id) else {
                let gone = format!(
                    "\"{platform}\" has no {} with this id (any more)",
                    entity.singular()
                );
                self.failed(&write.item, &Error::new(Code::NotFound, gone));
                continue;
            };
            if let Some(error) = &one.error {
                self.failed(&write.item, &Error::new(Code::Invalid, error));
                continue;
            }
            let went = match one.went.as_str() {
                "created" => Went::Created,
                "updated" => Went::Updated,
                _ => Went::Unchanged,
            };
            let outcome = well(&write, went, one.local_id.clone());
            self.settle(&write.item, went, outcome);
        }
    }

    pub(super) fn is_local(write: &Write) -> bool {
        write.item.target_platform == LOCAL
    }
}
