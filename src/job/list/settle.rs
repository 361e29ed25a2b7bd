//! The answers of writes to connectors: log, ledger and item in one transaction.

use super::step::Sent;
use super::tally::Went;
use super::write::{noted, well};
use super::Run;
use crate::store::ledger::Row;
use crate::store::list::{self as store, Item, Outcome};
use crate::store::transaction::closing;
use serde_json::json;
use std::collections::BTreeMap;
use sync_engine::core::{EntityType, Record};
use sync_engine::error::{Error, Result};
use sync_engine::source::Written;

/// A write that went well.
struct Arrived {
    item: Item,
    key: String,
    went: Went,
    is_findable: bool,
    external_id: String,
    record: Record,
    notes: Vec<String>,
    outcome: Outcome,
}

impl Run<'_> {
    /// Settles what was sent. Where those that went well can't be noted together, each is alone.
    pub(super) fn settle_sent(&mut self, answers: Vec<(Sent, Result<Written>)>) {
        let mut groups: BTreeMap<(String, EntityType), Vec<Arrived>> = BTreeMap::new();
        for (sent, outcome) in answers {
            let place = (sent.write.item.target_platform.clone(), sent.write.item.entity);
            if let Some(arrived) = self.arrived(sent, outcome) {
                groups.entry(place).or_default().push(arrived);
            }
        }
        for ((platform, entity), arrived) in groups {
            if self.store(&platform, entity, &arrived).is_ok() {
                for one in &arrived {
                    self.well(one);
                }
            } else {
                for one in &arrived {
                    match self.store(&platform, entity, std::slice::from_ref(one)) {
                        Ok(()) => self.well(one),
                        Err(error) => self.failed(&one.item, &error),
                    }
                }
            }
            self.touched.insert((platform, entity));
        }
    }

    fn well(&mut self, one: &Arrived) {
        self.tally.add(&one.item, one.went, None);
        self.tally.note(&one.item, &one.notes);
    }

    fn store(&self, platform: &str, entity: EntityType, arrived: &[Arrived]) -> Result<()> {
        let org = &self.key.org;
        let ledger = self.remotes.opened(platform)?.ledger(org, entity);
        let outcomes: Vec<Outcome> = arrived.iter().map(|one| one.outcome.clone()).collect();
        let of = |part: fn(&Arrived) -> String| arrived.iter().map(part).collect::<Vec<_>>();
        noted(arrived.iter().all(|one| one.is_findable), || {
            let shape = ledger.shape()?;
            let rows = arrived.iter().map(|one| Row::new(&shape, one.record.clone()));
            let rows: Vec<Row> = rows.collect::<Result<_>>()?;
            ledger.upsert(false, &rows)?;
            store::link(
                org,
                &of(|one| one.item.id.clone()),
                &of(|one| one.external_id.clone()),
            )?;
            let told = of(|one| json!({ "externalId": one.external_id }).to_string());
            store::conclude(org, &of(|one| one.key.clone()), "done", &told)?;
            store::settle(org, &outcomes)
        })
    }

    /// What went well; None where the item has failed.
    fn arrived(&mut self, sent: Sent, outcome: Result<Written>) -> Option<Arrived> {
        let Sent {
            write,
            key,
            is_new,
            is_findable,
        } = sent;
        let item = &write.item;
        let written = match outcome {
            Ok(written) => written,
            Err(error) => {
                self.not_written(item, &key, is_new, error);
                return None;
            }
        };
        let Written {
            external_id,
            record,
            notes,
        } = written;
        match record {
            Ok(record) => {
                let went = if is_new { Went::Created } else { Went::Updated };
                Some(Arrived {
                    outcome: well(&write, went, Some(external_id.clone())),
                    item: write.item,
                    key,
                    went,
                    is_findable,
                    external_id,
                    record,
                    notes,
                })
            }
            Err(error) => {
                self.written_unseen(item, &key, external_id, &error);
                None
            }
        }
    }

    fn not_written(&mut self, item: &Item, key: &str, is_new: bool, error: Error) {
        if !error.leaves_open() {
            let told = json!({ "error": error.message });
            // where even that fails, the next attempt looks for it once more than it had to
            let _ = closing(|| self.conclude(key, "failed", &told));
            self.failed(item, &error);
        } else if is_new {
            let hint = "It may have been created all the same: the next attempt looks for it first.";
            self.failed(item, &error.hint(hint));
        } else {
            self.failed(item, &error);
        }
    }

    /// It was written, and can't be read: the next attempt knows its id.
    fn written_unseen(&mut self, item: &Item, key: &str, external_id: String, error: &Error) {
        let told = json!({ "externalId": external_id });
        // where even that fails, the next attempt looks for it
        let _ = closing(|| self.conclude(key, "done", &told));
        self.failed(item, error);
        if let Some(outcome) = self.settled.last_mut() {
            outcome.target_id = Some(external_id);
        }
    }
}
