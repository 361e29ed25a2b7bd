//! Items whose target is a connector: find the target, see what differs, write it once.

use super::read::{Known, Place, Read, Wanted};
use super::tally::Went;
use super::{out_of_time, Done, Run};
use crate::store::ledger::Row;
use crate::store::list::{self as store, Item, Outcome, Target};
use crate::worker::transaction::short;
use serde_json::{json, Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};
use sync_engine::core::{diff, Comparison, Record};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::Change;

/// An item that has to be written, with its source.
#[derive(Debug, Clone)]
pub struct Write {
    pub item: Item,
    pub source: Known,
    /// Its fields; null where the source has none although it could.
    pub fields: Map<String, Value>,
}

/// A write that knows what it is written over.
#[derive(Debug)]
struct Step {
    write: Write,
    target: Target,
    /// None: nothing is known to be there.
    current: Option<Record>,
    /// It was looked for.
    is_searched: bool,
}

/// An item that waits for an answer.
enum UnderWay {
    Search(Step),
    Write(Sent),
}

/// A write that was sent.
#[derive(Debug)]
pub struct Sent {
    write: Write,
    key: String,
    is_new: bool,
}

impl Run<'_> {
    /// Writes items to connectors. Two that may be one record there don't run side by side: each would find nothing,
    /// and create it.
    pub(super) fn write_remotely(&mut self, mut waiting: Vec<Write>) -> Result<()> {
        while !waiting.is_empty() && !self.is_late() {
            let mut taken = HashSet::new();
            let (now, later): (Vec<Write>, Vec<Write>) = waiting.into_iter().partition(|write| {
                identities(write)
                    .into_iter()
                    .all(|identity| taken.insert(identity))
            });
            let steps = self.find_targets(now)?;
            self.work_off(steps)?;
            waiting = later;
        }
        Ok(())
    }

    /// What each item is to be written over.
    fn find_targets(&mut self, writes: Vec<Write>) -> Result<VecDeque<Step>> {
        let ids: Vec<String> = writes.iter().map(|write| write.item.id.clone()).collect();
        let known = short(|| store::targets(&self.key.org, &ids))?;
        let mut known: HashMap<String, Target> = known.into_iter().map(|t| (t.id.clone(), t)).collect();
        let mut wanted = Wanted::new();
        let mut steps = Vec::new();
        for write in writes {
            let Some(target) = known.remove(&write.item.id) else {
                // the item, or the connector, went meanwhile
                continue;
            };
            if let Some(id) = &target.target_id {
                let place = (write.item.target_platform.clone(), write.item.entity);
                wanted.entry(place).or_default().insert(id.clone());
            }
            steps.push(Step {
                write,
                target,
                current: None,
                is_searched: false,
            });
        }
        let read = self.read_all(&wanted)?;
        Ok(steps
            .into_iter()
            .filter_map(|step| self.settle_given(step, &read))
            .collect())
    }

    /// A target that is known by its id: read, or failed. None where the item is settled.
    fn settle_given(&mut self, mut step: Step, read: &Read) -> Option<Step> {
        let Some(id) = step.target.target_id.clone() else {
            return Some(step);
        };
        let place: Place = (
            step.write.item.target_platform.clone(),
            step.write.item.entity,
            id,
        );
        match read.get(&place) {
            Some(Ok(known)) => {
                step.current = Some(known.record.clone());
                Some(step)
            }
            // where only we had concluded that this is the target, it is looked for anew
            Some(Err(error)) if error.code == Code::NotFound && !step.target.is_given => Some(step),
            Some(Err(error)) => {
                let mut error = error.clone();
                if error.code == Code::NotFound {
                    error = error.hint("Clear target_id to have it looked for, or created, anew.");
                }
                self.failed(&step.write.item, &error);
                None
            }
            None => None,
        }
    }

    /// Whether the target is being looked for; a record without a match key can't be.
    fn search(&mut self, step: &Step) -> Result<bool> {
        let Item {
            id,
            entity,
            target_platform,
            ..
        } = &step.write.item;
        let Some(key) = step.write.source.record.match_key.clone() else {
            if step.target.is_intended {
                return Err(Error::new(
                    Code::Internal,
                    "it may have been created: an earlier attempt ended without an answer",
                )
                .detail("It has no e-mail, SKU or other match key that it could be found by.")
                .hint("Look for it in the target. If it is there, set target_id; if it is not, delete the entry in sync_idempotency_log."));
            }
            return Ok(false);
        };
        self.remotes
            .take(target_platform, &self.key.org, &self.crew, self.deadline)?;
        let source = self.remotes.usable(target_platform)?.source.clone();
        let (id, entity) = (id.clone(), *entity);
        self.crew.submit(
            move || source.find(entity, &key),
            move |outcome| Done::Found(id, outcome),
        )?;
        Ok(true)
    }

    /// Looks for what has no target yet, and sends what differs. What can be sent goes first, so that items are done
    /// one after the other, however slow the remote is; each is settled as soon as its answer is there.
    fn work_off(&mut self, mut steps: VecDeque<Step>) -> Result<()> {
        let mut under_way: HashMap<String, UnderWay> = HashMap::new();
        while !self.is_late() && (!steps.is_empty() || !self.crew.is_idle()) {
            while let Some(step) = steps.pop_front_if(|_| self.crew.is_free()) {
                let item = step.write.item.clone();
                match self.go_on(step) {
                    Ok(Some(one)) => drop(under_way.insert(item.id, one)),
                    Ok(None) => {}
                    Err(error) => self.failed(&item, &error),
                }
            }
            if self.crew.is_idle() {
                continue;
            }
            match self.crew.next(self.deadline)? {
                Some(Done::Found(id, outcome)) => {
                    if let Some(UnderWay::Search(step)) = under_way.remove(&id) {
                        if let Some(step) = self.found(step, outcome) {
                            steps.push_front(step);
                        }
                    }
                }
                Some(Done::Wrote(id, outcome)) => {
                    if let Some(UnderWay::Write(sent)) = under_way.remove(&id) {
                        self.settle_sent(sent, outcome);
                    }
                }
                Some(Done::Read(..)) | None => {}
            }
        }
        for one in under_way.into_values() {
            let item = match one {
                UnderWay::Search(step) => step.write.item,
                UnderWay::Write(sent) => sent.write.item,
            };
            self.failed(&item, &out_of_time());
        }
        Ok(())
    }

    /// The next request for an item; None where there is none to send.
    fn go_on(&mut self, mut step: Step) -> Result<Option<UnderWay>> {
        if step.current.is_none() && !step.is_searched {
            step.is_searched = true;
            if self.search(&step)? {
                return Ok(Some(UnderWay::Search(step)));
            }
        }
        Ok(self.send(step)?.map(UnderWay::Write))
    }

    /// What a search came to; None where the item is settled.
    fn found(&mut self, mut step: Step, outcome: Result<Vec<Record>>) -> Option<Step> {
        self.remotes
            .note(&step.write.item.target_platform, &self.key.org, &outcome);
        match outcome.and_then(|records| the_one(&step, records)) {
            Ok(current) => {
                step.current = current;
                Some(step)
            }
            Err(error) => {
                self.failed(&step.write.item, &error);
                None
            }
        }
    }

    /// Sends one write, after entering that it will be; None where there is nothing to write.
    fn send(&mut self, step: Step) -> Result<Option<Sent>> {
        let Step {
            write,
            target,
            current,
            ..
        } = step;
        let item = &write.item;
        let (platform, entity) = (item.target_platform.clone(), item.entity);
        let source = self.remotes.usable(&platform)?.source.clone();
        let mut fields = source.draft(entity, &write.fields, current.as_ref())?;
        if let Some(current) = &current {
            let there: Map<String, Value> = current
                .data
                .iter()
                .filter(|(name, _)| fields.contains_key(*name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let changed = diff(Comparison::all(entity), &there, &fields);
            if !self.writes_all(item) {
                fields.retain(|name, _| changed.contains_key(name));
            }
            if fields.is_empty() {
                let outcome = well(&write, Went::Unchanged, Some(current.external_id.clone()));
                self.settle(item, Went::Unchanged, outcome);
                return Ok(None);
            }
        }
        let is_new = current.is_none();
        let key = match is_new {
            true => target.creation_key,
            false => format!("{}:{}", target.creation_key, write.source.fingerprint),
        };
        self.remotes
            .take(&platform, &self.key.org, &self.crew, self.deadline)?;
        let about = json!({
            "operation": if is_new { "create" } else { "update" }, "target": platform, "entityType": entity.name(),
            "source": item.source_platform, "sourceId": item.source_id,
        });
        short(|| store::intend(&self.key.org, &key, &about))?;
        let change = Change {
            external_id: current.as_ref().map(|record| record.external_id.clone()),
            parent_id: current.and_then(|record| record.parent_id),
            fields,
        };
        let id = item.id.clone();
        self.crew.submit(
            move || source.write(entity, &change),
            move |outcome| Done::Wrote(id, outcome),
        )?;
        Ok(Some(Sent { write, key, is_new }))
    }

    /// The answer of a write: log, ledger and item in one transaction.
    fn settle_sent(&mut self, sent: Sent, outcome: Result<Record>) {
        let Sent { write, key, is_new } = sent;
        self.remotes
            .note(&write.item.target_platform, &self.key.org, &outcome);
        let item = write.item.clone();
        let org = self.key.org.clone();
        let written = match outcome {
            Ok(record) => record,
            Err(error) => {
                if !is_open(&error) {
                    // where even that fails, the next attempt looks for it once more than it had to
                    let _ =
                        short(|| store::conclude(&org, &key, "failed", &json!({ "error": error.message })));
                    self.failed(&item, &error);
                } else if is_new {
                    let hint = "It may have been created all the same: the next attempt looks for it first.";
                    self.failed(&item, &error.hint(hint));
                } else {
                    self.failed(&item, &error);
                }
                return;
            }
        };
        let went = if is_new { Went::Created } else { Went::Updated };
        let outcome = well(&write, went, Some(written.external_id.clone()));
        let stored = self.remotes.usable(&item.target_platform).and_then(|remote| {
            let ledger = remote.ledger(&org, item.entity);
            let id = written.external_id.clone();
            short(|| {
                let row = Row::new(&ledger.shape()?, written)?;
                ledger.upsert(std::slice::from_ref(&row))?;
                store::link(&org, &item.id, &id)?;
                store::conclude(&org, &key, "done", &json!({ "externalId": id }))?;
                store::settle(&org, std::slice::from_ref(&outcome))
            })
        });
        self.touched.insert((item.target_platform.clone(), item.entity));
        match stored {
            Ok(()) => self.tally.add(&item, went, None),
            Err(error) => self.failed(&item, &error),
        }
    }
}

/// Under what a record may be known to the target.
fn identities(write: &Write) -> Vec<(String, &'static str, String)> {
    let Item {
        target_platform,
        entity,
        source_platform,
        source_id,
        ..
    } = &write.item;
    let place = |what: String| (target_platform.clone(), entity.name(), what);
    let mut all = vec![place(format!("id {source_platform} {source_id}"))];
    all.extend(
        write
            .source
            .record
            .match_key
            .iter()
            .map(|key| place(format!("key {key}"))),
    );
    all
}

/// The only record that has the match key, if any has.
fn the_one(step: &Step, mut records: Vec<Record>) -> Result<Option<Record>> {
    if records.len() < 2 {
        return Ok(records.pop());
    }
    let key = step.write.source.record.match_key.as_deref().unwrap_or_default();
    let ids: Vec<&str> = records.iter().map(|r| r.external_id.as_str()).collect();
    Err(Error::new(
        Code::Invalid,
        format!(
            "\"{}\" has several records with the match key \"{key}\"",
            step.write.item.target_platform
        ),
    )
    .detail(format!("Their ids are {}.", ids.join(", ")))
    .hint("Set target_id to the one that is meant."))
}

/// Whether the remote may have done it all the same.
fn is_open(error: &Error) -> bool {
    matches!(
        error.code,
        Code::TimedOut | Code::Nonsense | Code::Cancelled | Code::Internal
    )
}

/// What is noted of an item that went well.
pub fn well(write: &Write, went: Went, target_id: Option<String>) -> Outcome {
    Outcome {
        id: write.item.id.clone(),
        status: went.name(),
        error: None,
        target_id,
        fingerprint: Some(write.source.fingerprint.clone()),
        modified_at: write.source.modified_at.clone(),
    }
}
