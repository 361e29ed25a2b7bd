//! `sync_delta`, `sync_full`, `sync_scheduled`: carrying out the items of sync lists.
//!
//! Page by page, in the order of their priority:
//! 1. *Read* the sources by id, a hundred at a time, into the ledger.
//! 2. *Judge*: what has not changed since it was last written is left alone (in mode delta).
//! 3. *Write* the rest: to local tables set-based, to connectors as many at once as they take.
//! 4. *Settle*: each item keeps how it went, and when it is due next. None stands in another's way.

mod finish;
mod local;
mod pages;
mod queue;
mod read;
mod remote;
mod settle;
mod step;
mod tally;
mod target;
mod write;

use super::crew::Crew;
use super::places;
use super::pool::Fetched;
use super::turn::{self, Turn};
use crate::pg::ending;
use crate::pg::lock::Lock;
use crate::request::{Answer, List, ListMode, Request};
use crate::settings::Settings;
use crate::store::connector;
use crate::store::ledger::{Ledger, Shape};
use crate::store::list::{self as store, Item, Outcome, Selection};
use crate::store::outcome;
use crate::store::run::{self as runs, RunKey};
use crate::store::transaction::{closing, guarded, short};
use pages::Pages;
use read::{Known, Question};
use remote::Remotes;
use serde_json::{json, Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;
use step::Write;
use sync_engine::core::{EntityType, ItemType, Record};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::Written;
use tally::{told, Counts, Tally, Went};

/// The platform that is this database.
const LOCAL: &str = "local";

/// What helper threads come back with.
pub enum Done {
    Read(Question, Box<Result<(Fetched, Shape)>>),
    /// Under the number of the question, with that of the requests it took.
    Found(u64, u32, Answers<Vec<Record>>),
    Wrote(u64, u32, Answers<Written>),
}

/// An outcome for each of what was asked together, or why there are none.
type Answers<T> = Result<Vec<Result<T>>>;

/// A run under way.
struct Run<'a> {
    settings: &'a Settings,
    key: RunKey,
    mode: ListMode,
    crew: Crew<Done>,
    remotes: Remotes,
    /// Nothing new is begun after that.
    deadline: Option<Instant>,
    /// Nor where what is left doesn't fit into the time.
    is_over: bool,
    tally: Tally,
    /// What came of items that nothing more has to be written with.
    settled: Vec<Outcome>,
    /// Where the ledger has changed.
    touched: BTreeSet<(String, EntityType)>,
    /// Whose local side was read anew, where no trigger follows it.
    rescanned: HashSet<(String, EntityType)>,
    /// Whose records another run is at: local items of theirs stay due.
    busy: HashSet<(String, EntityType)>,
    /// Histories of this run, by user.
    histories: BTreeMap<Option<String>, String>,
    begun: Instant,
}

/// Carries out a request for lists.
pub fn run(request: &Request, list: &List) -> Result<Answer> {
    let begun = Instant::now();
    short(|| connector::require(&request.org, request.role, "operate"))?;
    let lock = format!("sync_ext:lists:{}", request.org);
    let has_places = if list.mode == ListMode::Scheduled {
        // whoever is at it does what is due
        if !short(|| Ok(Lock::named(&lock).try_keep()))? {
            return Ok(Answer::Done(json!({ "status": "busy" })));
        }
        false
    } else {
        match turn::take(request, &lock)? {
            Turn::Ours { has_places } => has_places,
            Turn::Behind(lock) => return Ok(Answer::Behind(lock)),
        }
    };
    carry_out(request, list, begun, has_places).map(Answer::Done)
}

fn carry_out(request: &Request, list: &List, begun: Instant, has_places: bool) -> Result<Value> {
    let key = key_of(request, list.mode);
    let selection = short(|| select(request, list))?;
    if !has_places {
        places::take(&request.settings, &key.org)?;
    }
    let total = short(|| {
        runs::begin(&key)?;
        let total = store::count(&key.org, &selection)?;
        store::begin_progress(&key, list.item_type.map_or("all", ItemType::name), total)?;
        Ok(total)
    })?;
    let mut run = match Run::start(request, list, key.clone(), begun) {
        Ok(run) => run,
        Err(error) => {
            // the error is the one to tell, even where this fails too
            let _ = closing(|| outcome::fail(&key, &error, ending::told()));
            return Err(error);
        }
    };
    let went = guarded(|| run.carry_out(&selection));
    run.flush();
    run.close();
    run.finish(list, total, went)
}

fn key_of(request: &Request, mode: ListMode) -> RunKey {
    RunKey {
        org: request.org.clone(),
        sync_id: request.sync_id.clone(),
        connector: 0,
        sync_type: "lists".to_owned(),
        kind: mode.name(),
        entity: None,
        user_id: request.user_id.clone(),
    }
}

fn select(request: &Request, list: &List) -> Result<Selection> {
    let user = store::only_of(&request.org, request.role, request.user_id.as_deref())?;
    let (mut named, mut unknown) = (None, Vec::new());
    if let Some(ids) = &list.ids {
        unknown = store::unknown(&request.org, ids, user.as_deref())?;
        named = Some(store::in_order(&request.org, ids, user.as_deref())?);
    }
    Ok(Selection {
        ids: named,
        unknown,
        user,
        item_type: list.item_type,
        due: match list.mode {
            ListMode::Scheduled => Some(runs::now()?),
            _ => None,
        },
    })
}

/// The error of what was under way when the time of a run was up.
fn out_of_time() -> Error {
    Error::new(
        Code::TimedOut,
        "the time of this run was up before the remote answered",
    )
}

impl<'a> Run<'a> {
    fn start(request: &'a Request, list: &List, key: RunKey, begun: Instant) -> Result<Self> {
        Ok(Run {
            settings: &request.settings,
            crew: Crew::start(request.settings.fetch_concurrency)?,
            remotes: Remotes::default(),
            deadline: list.time_limit.map(|limit| Instant::now() + limit),
            is_over: false,
            mode: list.mode,
            tally: Tally::default(),
            settled: Vec::new(),
            touched: BTreeSet::new(),
            rescanned: HashSet::new(),
            busy: HashSet::new(),
            histories: BTreeMap::new(),
            begun,
            key,
        })
    }

    /// Whether nothing new is begun.
    fn is_late(&self) -> bool {
        self.is_over || self.is_past_deadline()
    }

    fn is_past_deadline(&self) -> bool {
        self.deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// Whether there is something to begin, or to wait for.
    fn goes_on(&self, all_begun: bool) -> bool {
        !all_begun && !self.is_late() || !self.crew.is_idle() && !self.is_past_deadline()
    }

    fn writes_all(&self, item: &Item) -> bool {
        self.mode == ListMode::Full || item.is_full
    }

    /// Ids that are no items of the organisation's: gone, or never there.
    fn refuse_unknown(&mut self, ids: &[String]) {
        for id in ids {
            let error = Error::new(Code::NotFound, format!("the sync list has no item \"{id}\""));
            self.tally
                .add_unknown(id.clone(), self.key.user_id.clone(), &error);
        }
    }

    /// All pages; whether the time was up before the last.
    fn carry_out(&mut self, selection: &Selection) -> Result<bool> {
        self.refuse_unknown(&selection.unknown);
        let mut pages = Pages::new(selection);
        loop {
            let items = short(|| pages.next(&self.key.org))?;
            if items.is_empty() {
                return Ok(false);
            }
            self.carry_out_page(items)?;
            let Counts { failed, skipped, .. } = self.tally.all;
            let well = self.tally.all.processed() - failed - skipped;
            short(|| store::progress(&self.key, well, failed, skipped))?;
            if self.is_late() {
                return Ok(true);
            }
        }
    }

    fn carry_out_page(&mut self, items: Vec<Item>) -> Result<()> {
        let (mut items, inactive): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| item.is_active);
        items.retain(|item| !self.is_busy(item));
        for item in &inactive {
            self.tally.add(item, Went::Skipped, None);
        }
        self.open(&items);
        items.retain(|item| self.fits(item));
        let read = self.read_sources(&items)?;
        let held_back = self.held_back(&items)?;
        let mut writes = Vec::new();
        for item in items {
            let place = (item.source_platform.clone(), item.entity, item.source_id.clone());
            match read.get(&place) {
                // the time was up before it was its turn
                None => {}
                Some(Err(error)) => self.failed(&item, error),
                Some(Ok(_)) if held_back.contains(&item.id) => self.left_alone(&item, Went::Skipped, None),
                Some(Ok(known)) if self.is_unchanged(&item, known) => {
                    self.left_alone(&item, Went::Unchanged, Some(known))
                }
                Some(Ok(known)) => writes.push(self.prepare(item, known)),
            }
        }
        let (local, remote): (Vec<Write>, Vec<Write>) = writes.into_iter().partition(Self::is_local);
        self.write_locally(local)?;
        self.write_remotely(remote)?;
        self.flush();
        Ok(())
    }

    /// Items whose record doesn't meet their own filters.
    fn held_back(&self, items: &[Item]) -> Result<HashSet<String>> {
        let mut held: HashSet<String> = items
            .iter()
            .filter(|item| item.has_filter)
            .map(|item| item.id.clone())
            .collect();
        if held.is_empty() {
            return Ok(held);
        }
        let asked: Vec<String> = held.iter().cloned().collect();
        for id in short(|| store::meeting_filters(&self.key.org, &asked))? {
            held.remove(&id);
        }
        Ok(held)
    }

    /// Whether the source is as it was when it was last written.
    fn is_unchanged(&self, item: &Item, known: &Known) -> bool {
        let written = item.modified_at.map(|at| at.timestamp_micros());
        let now = known
            .modified_at
            .as_deref()
            .and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok())
            .map(|at| at.timestamp_micros());
        !self.writes_all(item)
            && item.target_id.is_some()
            && item.fingerprint.as_deref() == Some(known.fingerprint.as_str())
            && written == now
    }

    /// A field that the source can have, and has not, is one to clear. A local row that lacks something may just not
    /// know it.
    fn prepare(&self, item: Item, known: &Known) -> Write {
        let mut fields: Map<String, Value> = known.record.data.clone();
        if let Ok(remote) = self.remotes.usable(&item.source_platform) {
            for name in remote.kind.fields(item.entity) {
                fields.entry(*name).or_insert(Value::Null);
            }
        }
        if let Some(chosen) = &item.fields {
            fields.retain(|name, _| chosen.contains(name));
        }
        Write {
            source: known.clone(),
            fields,
            item,
        }
    }

    fn failed(&mut self, item: &Item, error: &Error) {
        let outcome = Outcome {
            id: item.id.clone(),
            status: Went::Failed.name(),
            error: Some(match &error.hint {
                Some(hint) => format!("{} ({hint})", told(error)),
                None => told(error),
            }),
            target_id: None,
            fingerprint: None,
            modified_at: None,
        };
        self.tally.add(item, Went::Failed, Some(error));
        self.settled.push(outcome);
    }

    fn left_alone(&mut self, item: &Item, went: Went, known: Option<&Known>) {
        let outcome = Outcome {
            id: item.id.clone(),
            status: went.name(),
            error: None,
            target_id: None,
            fingerprint: known.map(|known| known.fingerprint.clone()),
            modified_at: known.and_then(|known| known.modified_at.clone()),
        };
        self.settle(item, went, outcome);
    }

    fn settle(&mut self, item: &Item, went: Went, outcome: Outcome) {
        self.tally.add(item, went, None);
        self.settled.push(outcome);
    }

    /// Notes how the items of a page went. One that an app holds a lock on doesn't take the others along; it is due
    /// still, and comes again.
    fn flush(&mut self) {
        let settled = std::mem::take(&mut self.settled);
        if settled.is_empty() || closing(|| store::settle(&self.key.org, &settled)).is_ok() {
            return;
        }
        for one in &settled {
            if let Err(error) = closing(|| store::settle(&self.key.org, std::slice::from_ref(one))) {
                pgrx::warning!("sync_ext: item {} was not noted: {error}", one.id);
            }
        }
    }

    /// Links what turned up, and drops previews that are no longer true.
    fn close(&self) {
        self.remotes.close(&self.key.org);
        for (platform, entity) in &self.touched {
            let Ok(remote) = self.remotes.opened(platform) else {
                continue;
            };
            let ledger: Ledger = remote.ledger(&self.key.org, *entity);
            let key = RunKey {
                sync_type: platform.clone(),
                ..self.key.clone()
            };
            let done = closing(|| {
                ledger.link()?;
                runs::drop_previews(&key, *entity)
            });
            if let Err(error) = done {
                pgrx::warning!("sync_ext: {platform} was not matched: {error}");
            }
        }
    }
}
