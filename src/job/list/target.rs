//! The record of a connector that an item is written over: the one that is known, or one that is looked for.

use super::read::{Place, Read, Wanted};
use super::step::{Step, Write};
use super::Run;
use crate::store::list::{self as store, Item, Target};
use crate::store::transaction::{relaxed, short};
use serde_json::{json, Value};
use std::collections::{HashMap, VecDeque};
use sync_engine::core::Record;
use sync_engine::error::{Code, Error, Result};

impl Run<'_> {
    /// What each item is to be written over.
    pub(super) fn find_targets(&mut self, writes: Vec<Write>) -> Result<VecDeque<Step>> {
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

    /// Whether the target has to be looked for; what has nothing that the target would know it by can't be.
    pub(super) fn is_to_search(&self, step: &Step) -> Result<bool> {
        if step.current.is_some() || step.is_searched {
            return Ok(false);
        }
        let Item {
            id,
            entity,
            target_platform,
            ..
        } = &step.write.item;
        let source = &self.remotes.usable(target_platform)?.source;
        if source.known_by(*entity, &step.write.source.record).is_some() {
            return Ok(true);
        }
        if !step.target.is_intended {
            return Ok(false);
        }
        Err(Error::new(
            Code::Internal,
            "it may have been created: an earlier attempt ended without an answer",
        )
        .detail("It has no e-mail, SKU or other match key that it could be found by.")
        .hint(format!(
            "Look for it in the target, then say which it is by SELECT sync_settle_creation('{id}', 'its id'), or, if it is not there, that it may be tried again by SELECT sync_settle_creation('{id}')."
        )))
    }

    /// What a search came to; None where the item is settled.
    pub(super) fn found(&mut self, mut step: Step, outcome: Result<Vec<Record>>) -> Option<Step> {
        step.is_searched = true;
        match outcome.and_then(|records| the_one(&step, records)) {
            Ok(current) => {
                if let Some(record) = current.as_ref().filter(|_| step.target.is_intended) {
                    self.conclude_creation(&step.target, &record.external_id);
                }
                step.current = current;
                Some(step)
            }
            Err(error) => {
                self.failed(&step.write.item, &error);
                None
            }
        }
    }

    /// A creation whose answer was lost has happened. Noted at once, or a run that ends early again and again would
    /// look for the same records each time.
    fn conclude_creation(&self, target: &Target, external_id: &str) {
        let told = json!({ "externalId": external_id });
        // where even that fails, the next attempt looks for it once more than it had to
        let _ = relaxed(|| self.conclude(&target.creation_key, "done", &told));
    }

    /// Notes how one write ended.
    pub(super) fn conclude(&self, key: &str, state: &str, told: &Value) -> Result<()> {
        store::conclude(&self.key.org, &[key.to_owned()], state, &[told.to_string()])
    }

    /// What no other record may have while this one is written: itself, and under what the target may know it.
    pub(super) fn identities(&self, write: &Write) -> Vec<(String, &'static str, String)> {
        let Item {
            target_platform,
            entity,
            source_platform,
            source_id,
            ..
        } = &write.item;
        let place = |what: String| (target_platform.clone(), entity.name(), what);
        let usable = self.remotes.usable(target_platform).ok();
        let exclusive = usable.map(|remote| remote.source.exclusive(*entity, &write.source.record));
        let mut all = vec![place(format!("id {source_platform} {source_id}"))];
        all.extend(
            exclusive
                .into_iter()
                .flatten()
                .map(|key| place(format!("key {key}"))),
        );
        all
    }
}

/// The only record that has the match key, if any has.
fn the_one(step: &Step, mut records: Vec<Record>) -> Result<Option<Record>> {
    if records.len() < 2 {
        return Ok(records.pop());
    }
    let ids: Vec<&str> = records.iter().map(|r| r.external_id.as_str()).collect();
    let Item {
        target_platform,
        entity,
        ..
    } = &step.write.item;
    Err(Error::new(
        Code::Invalid,
        format!(
            "\"{target_platform}\" has several {} that this one may be",
            entity.name()
        ),
    )
    .detail(format!("Their ids are {}.", ids.join(", ")))
    .hint("Set target_id to the one that is meant."))
}
