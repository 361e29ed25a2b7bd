//! Items whose target is a connector: see what differs from what is there, write it once.

use super::step::{Next, Ready, Sent, Step, Write};
use super::tally::Went;
use super::{out_of_time, Done, Run};
use crate::store::list::{self as store, Item, Outcome};
use crate::store::transaction::{relaxed, short};
use serde_json::{json, Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use sync_engine::core::{diff, match_key, Comparison, Record};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{Change, Meter, Source};

/// An item that waits for an answer.
enum UnderWay {
    Search(Step),
    Write(Sent),
}

impl Run<'_> {
    /// Writes items to connectors. Two that may be one record there don't run side by side: each would find nothing,
    /// and create it.
    pub(super) fn write_remotely(&mut self, mut waiting: Vec<Write>) -> Result<()> {
        while !waiting.is_empty() && !self.is_late() {
            let mut taken = HashSet::new();
            let (now, later): (Vec<Write>, Vec<Write>) = waiting.into_iter().partition(|write| {
                self.identities(write)
                    .into_iter()
                    .all(|identity| taken.insert(identity))
            });
            let steps = self.find_targets(now)?;
            self.work_off(steps)?;
            waiting = later;
        }
        Ok(())
    }

    /// Looks for what has no target yet, and sends what differs. What can be sent goes first, so that items are done
    /// one after the other, however slow the remote is; each is settled as soon as its answer is there, together with
    /// those that came meanwhile.
    fn work_off(&mut self, mut steps: VecDeque<Step>) -> Result<()> {
        let mut under_way: HashMap<String, UnderWay> = HashMap::new();
        while self.goes_on(steps.is_empty()) {
            self.begin(&mut steps, &mut under_way)?;
            if self.crew.is_idle() {
                continue;
            }
            let mut answers = Vec::new();
            let mut next = self.crew.next(self.deadline)?;
            while let Some(done) = next {
                match done {
                    Done::Found(id, requests, outcome) => {
                        if let Some(UnderWay::Search(step)) = under_way.remove(&id) {
                            if let Some(step) = self.found(step, requests, outcome) {
                                steps.push_front(step);
                            }
                        }
                    }
                    Done::Wrote(id, requests, outcome) => {
                        if let Some(UnderWay::Write(sent)) = under_way.remove(&id) {
                            self.note(&sent.write.item, requests, &outcome);
                            answers.push((sent, outcome));
                        }
                    }
                    Done::Read(..) => {}
                }
                next = self.crew.ready()?;
            }
            self.settle_sent(answers);
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

    /// As many requests as there are threads for.
    fn begin(&mut self, steps: &mut VecDeque<Step>, under_way: &mut HashMap<String, UnderWay>) -> Result<()> {
        let mut ready = Vec::new();
        while let Some(step) = steps.pop_front_if(|_| self.crew.free() > ready.len() && !self.is_late()) {
            let item = step.write.item.clone();
            match self.go_on(step) {
                Ok(Next::Search(step)) => drop(under_way.insert(item.id, UnderWay::Search(*step))),
                Ok(Next::Write(one)) => ready.push(*one),
                Ok(Next::Settled) => {}
                Ok(Next::NoTime) => self.is_over = true,
                Err(error) => self.failed(&item, &error),
            }
        }
        self.send(ready, under_way)
    }

    /// The next request for an item.
    fn go_on(&mut self, mut step: Step) -> Result<Next> {
        if step.current.is_none() && !step.is_searched {
            step.is_searched = true;
            return self.search(step);
        }
        self.prepare_write(step)
    }

    /// What is to be sent of an item.
    pub(super) fn prepare_write(&mut self, step: Step) -> Result<Next> {
        let item = &step.write.item;
        let source = self
            .remotes
            .writable(&item.target_platform, item.entity)?
            .source
            .clone();
        let fields = self.fields_to_send(source.as_ref(), &step)?;
        match &step.current {
            Some(current) if fields.is_empty() => {
                self.found_equal(&step.write, &current.external_id)?;
                return Ok(Next::Settled);
            }
            _ => {}
        }
        let has_time = self
            .remotes
            .take(&item.target_platform, &self.key.org, &self.crew, self.deadline)?;
        Ok(match has_time {
            true => Next::Write(Box::new(ready(step, source, fields))),
            false => Next::NoTime,
        })
    }

    /// What the target would take of an item; of a record that is there, what differs, unless all is wanted.
    fn fields_to_send(&self, source: &dyn Source, step: &Step) -> Result<Map<String, Value>> {
        let Step { write, current, .. } = step;
        let entity = write.item.entity;
        if current.is_none() {
            require_identity(source, write)?;
        }
        let mut fields = source.draft(entity, &write.fields, current.as_ref())?;
        if fields.is_empty() {
            if let Some(chosen) = &write.item.fields {
                return Err(nothing_to_write(&write.item, chosen));
            }
        }
        if let Some(current) = current.as_ref().filter(|_| !self.writes_all(&write.item)) {
            let mut there = current.data.clone();
            there.retain(|name, _| fields.contains_key(name));
            let changed = diff(Comparison::all(entity), &there, &fields);
            fields.retain(|name, _| changed.contains_key(name));
        }
        Ok(fields)
    }

    fn found_equal(&mut self, write: &Write, id: &str) -> Result<()> {
        short(|| store::link(&self.key.org, &write.item.id, id))?;
        let outcome = well(write, Went::Unchanged, Some(id.to_owned()));
        self.settle(&write.item, Went::Unchanged, outcome);
        Ok(())
    }

    /// Sends writes, after entering that they will be.
    fn send(&mut self, ready: Vec<Ready>, under_way: &mut HashMap<String, UnderWay>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        let org = &self.key.org;
        let mut intents = ready.iter().map(|one| (&one.sent.key, &one.about));
        let entered = noted(ready.iter().all(|one| one.sent.is_findable), || {
            intents.try_for_each(|(key, about)| store::intend(org, key, about))
        });
        if let Err(error) = entered {
            for one in &ready {
                self.failed(&one.sent.write.item, &error);
            }
            return Ok(());
        }
        for Ready {
            sent, source, change, ..
        } in ready
        {
            let (id, entity) = (sent.write.item.id.clone(), sent.write.item.entity);
            under_way.insert(id.clone(), UnderWay::Write(sent));
            self.submit_metered(
                move |meter| source.write(entity, &change, meter),
                move |requests, written| Done::Wrote(id, requests, written),
            )?;
        }
        Ok(())
    }

    /// Gives a job to a helper thread. How many requests it took is told whether it went well or not; of one that
    /// panicked nobody knows more than that it was begun.
    pub(super) fn submit_metered<T: 'static>(
        &mut self,
        job: impl FnOnce(&Meter) -> Result<T> + Send + 'static,
        done: impl FnOnce(u32, Result<T>) -> Done + Send + 'static,
    ) -> Result<()> {
        self.crew.submit(
            move || {
                let meter = Meter::default();
                let outcome = job(&meter);
                Ok((meter.requests(), outcome))
            },
            move |outcome| {
                let (requests, outcome) = outcome.unwrap_or_else(|error| (1, Err(error)));
                done(requests, outcome)
            },
        )
    }

    pub(super) fn note<T>(&mut self, item: &Item, requests: u32, outcome: &Result<T>) {
        let (platform, entity) = (&item.target_platform, item.entity);
        self.remotes
            .note(platform, entity, &self.key.org, requests, outcome);
    }
}

/// What is created by some of its fields has to be found again by them.
fn require_identity(source: &dyn Source, write: &Write) -> Result<()> {
    let Some(chosen) = &write.item.fields else {
        return Ok(());
    };
    let record = Record {
        data: write.fields.clone(),
        match_key: match_key(write.item.entity, &write.fields),
        ..write.source.record.clone()
    };
    if source.known_by(write.item.entity, &record).is_some() {
        return Ok(());
    }
    let Item {
        target_platform,
        entity,
        ..
    } = &write.item;
    Err(Error::new(
        Code::NotFound,
        format!(
            "\"{target_platform}\" has no {} that this one is",
            entity.singular()
        ),
    )
    .detail(format!(
        "It is not created by its fields alone: {}.",
        chosen.join(", ")
    ))
    .hint("Set target_id, or add the fields that it is known by (e-mail, SKU) to fields."))
}

fn nothing_to_write(item: &Item, chosen: &[String]) -> Error {
    let Item {
        target_platform,
        entity,
        ..
    } = item;
    let message = format!(
        "\"{target_platform}\" takes none of the item's fields of this {}",
        entity.singular()
    );
    Error::new(Code::Invalid, message).detail(format!("They are {}.", chosen.join(", ")))
}

/// A write, and what is entered of it before it is sent.
fn ready(step: Step, source: Arc<dyn Source>, fields: Map<String, Value>) -> Ready {
    let Step {
        write,
        target,
        current,
        ..
    } = step;
    let item = &write.item;
    let is_new = current.is_none();
    let about = json!({
        "operation": if is_new { "create" } else { "update" }, "target": item.target_platform,
        "entityType": item.entity.name(), "source": item.source_platform, "sourceId": item.source_id,
    });
    let key = match is_new {
        true => target.creation_key,
        false => format!("{}:{}", target.creation_key, write.source.fingerprint),
    };
    let change = Change {
        external_id: current.as_ref().map(|record| record.external_id.clone()),
        parent_id: current.and_then(|record| record.parent_id),
        fields,
    };
    let is_findable = !is_new || source.known_by(item.entity, &write.source.record).is_some();
    Ready {
        sent: Sent {
            is_findable,
            write,
            key,
            is_new,
        },
        source,
        change,
        about,
    }
}

/// Runs a transaction that notes writes. Waiting for the disk would take longer than all the rest, and is needed for
/// those alone that nobody could find again.
pub fn noted<T>(are_findable: bool, body: impl FnOnce() -> Result<T>) -> Result<T> {
    match are_findable {
        true => relaxed(body),
        false => short(body),
    }
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
