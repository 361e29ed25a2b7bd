//! Items whose target is a connector: see what differs from what is there, write it once.

use super::queue::Queue;
use super::step::{Place, Ready, Sent, Step, Write};
use super::tally::Went;
use super::{out_of_time, Answers, Done, Run};
use crate::store::list::{self as store, Item, Outcome};
use crate::store::transaction::{relaxed, short};
use serde_json::{json, Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use sync_engine::core::{diff, match_key, Comparison, Record};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{Change, Meter, Source, Written};

/// A question that waits for its answer, with the items that it is about.
enum UnderWay {
    Search(Place, Vec<Step>),
    Write(Place, Vec<Sent>),
}

/// The questions of a run, by their numbers.
#[derive(Default)]
struct Asked {
    under_way: HashMap<u64, UnderWay>,
    last: u64,
}

impl Asked {
    fn add(&mut self, question: UnderWay) -> u64 {
        self.last += 1;
        self.under_way.insert(self.last, question);
        self.last
    }
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
    fn work_off(&mut self, steps: VecDeque<Step>) -> Result<()> {
        let (mut queue, mut asked) = (Queue::default(), Asked::default());
        for step in steps {
            self.sort_in(step, &mut queue);
        }
        while self.goes_on(queue.is_empty()) {
            self.begin(&mut queue, &mut asked)?;
            if self.crew.is_idle() {
                continue;
            }
            let mut answers = Vec::new();
            let mut next = self.crew.next(self.deadline)?;
            while let Some(done) = next {
                answers.extend(self.arrive(done, &mut queue, &mut asked));
                next = self.crew.ready()?;
            }
            self.settle_sent(answers);
        }
        for one in asked.under_way.into_values() {
            let items: Vec<Item> = match one {
                UnderWay::Search(_, steps) => steps.into_iter().map(|step| step.write.item).collect(),
                UnderWay::Write(_, sent) => sent.into_iter().map(|sent| sent.write.item).collect(),
            };
            for item in &items {
                self.failed(item, &out_of_time());
            }
        }
        Ok(())
    }

    /// Puts an item where it has to wait next, unless there is nothing to write.
    fn sort_in(&mut self, step: Step, queue: &mut Queue) {
        let item = step.write.item.clone();
        let sorted = self.is_to_search(&step).and_then(|is_to_search| {
            if is_to_search {
                let source = &self.remotes.usable(&item.target_platform)?.source;
                let at_once = step.at_once(source.finds_at_once(item.entity));
                queue.search(at_once, step);
            } else if let Some(ready) = self.prepare_write(step)? {
                queue.write(ready);
            }
            Ok(())
        });
        if let Err(error) = sorted {
            self.failed(&item, &error);
        }
    }

    /// What an answer brought: items that are searched go on, what was written is returned.
    fn arrive(&mut self, done: Done, queue: &mut Queue, asked: &mut Asked) -> Vec<(Sent, Result<Written>)> {
        match done {
            Done::Found(number, requests, outcomes) => {
                if let Some(UnderWay::Search(place, steps)) = asked.under_way.remove(&number) {
                    let outcomes = self.each(&place, requests, outcomes, steps.len());
                    for (step, outcome) in steps.into_iter().zip(outcomes) {
                        if let Some(step) = self.found(step, outcome) {
                            self.sort_in(step, queue);
                        }
                    }
                }
            }
            Done::Wrote(number, requests, outcomes) => {
                if let Some(UnderWay::Write(place, sent)) = asked.under_way.remove(&number) {
                    let outcomes = self.each(&place, requests, outcomes, sent.len());
                    return sent.into_iter().zip(outcomes).collect();
                }
            }
            Done::Read(..) => {}
        }
        Vec::new()
    }

    /// The outcome of each of so many that were asked together, which is noted of the remote as one.
    fn each<T>(
        &mut self,
        place: &Place,
        requests: u32,
        outcomes: Answers<T>,
        count: usize,
    ) -> Vec<Result<T>> {
        let mut outcomes = outcomes.unwrap_or_else(|error| vec![Err(error)]);
        let (platform, entity) = place;
        self.remotes
            .note_each(platform, *entity, &self.key.org, requests, &outcomes);
        let error = outcomes
            .iter()
            .find_map(|outcome| outcome.as_ref().err())
            .cloned();
        let lost = error.unwrap_or_else(|| Error::new(Code::Internal, "there is no outcome"));
        outcomes.resize_with(count, || Err(lost.clone()));
        outcomes
    }

    /// As many requests as there are threads for.
    fn begin(&mut self, queue: &mut Queue, asked: &mut Asked) -> Result<()> {
        while self.crew.free() > 0 && !self.is_late() {
            let free = self.crew.free();
            if let Some((place, ready)) = queue.next_writes(free) {
                self.send(place, ready, asked)?;
            } else if let Some((place, steps)) = queue.next_searches(free) {
                self.search(place, steps, asked)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// The connector of these items, with a request to use; None, and they have failed, where it can't be used, or are left
    /// as they are, where there is no time for it.
    fn admitted<'i>(
        &mut self,
        (platform, entity): &Place,
        items: impl Iterator<Item = &'i Item>,
        to_write: bool,
    ) -> Option<Arc<dyn Source>> {
        let usable = match to_write {
            true => self.remotes.writable(platform, *entity),
            false => self.remotes.usable(platform),
        };
        let source = usable.map(|remote| remote.source.clone());
        let taken = source.and_then(|source| {
            let has_time = self
                .remotes
                .take(platform, &self.key.org, &self.crew, self.deadline)?;
            Ok(has_time.then_some(source))
        });
        match taken {
            Ok(Some(source)) => return Some(source),
            Ok(None) => self.is_over = true,
            Err(error) => items.for_each(|item| self.failed(item, &error)),
        }
        None
    }

    fn search(&mut self, place: Place, steps: Vec<Step>, asked: &mut Asked) -> Result<()> {
        let items = steps.iter().map(|step| &step.write.item);
        let Some(source) = self.admitted(&place, items, false) else {
            return Ok(());
        };
        let entity = place.1;
        let records: Vec<Record> = steps
            .iter()
            .map(|step| step.write.source.record.clone())
            .collect();
        let number = asked.add(UnderWay::Search(place, steps));
        self.submit_metered(
            move |meter| Ok(source.find_many(entity, &records, meter)),
            move |requests, found| Done::Found(number, requests, found),
        )
    }

    /// What is to be sent of an item.
    fn prepare_write(&mut self, step: Step) -> Result<Option<Ready>> {
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
                Ok(None)
            }
            _ => Ok(Some(ready(step, source.as_ref(), fields))),
        }
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
        short(|| {
            store::link(
                &self.key.org,
                std::slice::from_ref(&write.item.id),
                &[id.to_owned()],
            )
        })?;
        let outcome = well(write, Went::Unchanged, Some(id.to_owned()));
        self.settle(&write.item, Went::Unchanged, outcome);
        Ok(())
    }

    /// Sends writes, after entering that they will be.
    fn send(&mut self, place: Place, ready: Vec<Ready>, asked: &mut Asked) -> Result<()> {
        let items = ready.iter().map(|one| &one.sent.write.item);
        let Some(source) = self.admitted(&place, items, true) else {
            return Ok(());
        };
        let keys: Vec<String> = ready.iter().map(|one| one.sent.key.clone()).collect();
        let abouts: Vec<String> = ready.iter().map(|one| one.about.to_string()).collect();
        let entered = noted(ready.iter().all(|one| one.sent.is_findable), || {
            store::intend(&self.key.org, &keys, &abouts)
        });
        if let Err(error) = entered {
            for one in &ready {
                self.failed(&one.sent.write.item, &error);
            }
            return Ok(());
        }
        let entity = place.1;
        let (sent, changes): (Vec<Sent>, Vec<Change>) =
            ready.into_iter().map(|one| (one.sent, one.change)).unzip();
        let number = asked.add(UnderWay::Write(place, sent));
        self.submit_metered(
            move |meter| Ok(source.write_many(entity, &changes, meter)),
            move |requests, written| Done::Wrote(number, requests, written),
        )
    }

    /// Gives a job to a helper thread. How many requests it took is told whether it went well or not; of one that
    /// panicked nobody knows more than that it was begun.
    fn submit_metered<T: 'static>(
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
fn ready(step: Step, source: &dyn Source, fields: Map<String, Value>) -> Ready {
    let alone = step.at_once(0) == 1;
    let Step {
        write,
        target,
        current,
        ..
    } = step;
    let item = &write.item;
    let entity = item.entity;
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
        at_once: if alone {
            1
        } else {
            source.writes_at_once(entity, &change)
        },
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
