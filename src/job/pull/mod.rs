//! A pull: from the remote's pages to the ledger.
//!
//! 1. *Plan*: full pass or what changed, as the source can tell; or the checkpoint of an unfinished pull.
//! 2. *Fetch*: tasks from a stack, several at a time; results that came together are one short
//!    transaction that holds the records, what the windows prove and, a few times a second, the checkpoint.
//! 3. *Verify*: close gaps between windows, compare counts, sweep ids where they differ, and ask by id after
//!    every record that was not met. Only what is proven gone is marked so.
//! 4. *Match* and remember.

mod doubts;
mod read;
mod state;
mod summary;
mod unreadable;
mod verify;

use super::pool::Pool;
use super::run::{Context, Outcome};
use super::tokens::Lease;
use crate::request::Mode;
use crate::store::connector;
use crate::store::ledger::{Counts, Ledger, Shape};
use crate::store::run::{self as runs, Memory, Pulled};
use crate::store::transaction::{short, yielding};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use state::State;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;
use summary::Summary;
use sync_engine::core::{spec, EntityType, Listing};
use sync_engine::error::Result;
use sync_engine::source::stack::Stack;
use sync_engine::source::{Content, Pass, Source};

/// Changed records from which a pull refreshes the ledger's statistics, if they are a tenth of all.
const ANALYZE_FROM: u64 = 1000;
/// An unfinished pull older than this is begun anew.
const CHECKPOINT_LIFE: Duration = Duration::hours(24);

struct Pull<'a> {
    context: &'a Context<'a>,
    pool: &'a mut Pool,
    ledger: Ledger,
    /// What the remote's records become.
    shape: Arc<Shape>,
    state: State,
    /// Modified since then: perhaps twice within one second, so read again.
    recent: DateTime<Utc>,
    counts: Counts,
    deleted: u64,
    /// Records that exist, but that the connector's user may not see.
    hidden: u64,
    /// No pull has come to its end yet: the ledger hardly holds anything.
    is_first: bool,
    /// What the remote told of the lines of documents.
    lines: Option<Value>,
    /// Rows that it counts and doesn't show, by listing, as the last complete sweep found them.
    unshown: BTreeMap<Listing, u64>,
    /// Of those, what listings that are read by key lack.
    short: BTreeMap<Listing, u64>,
    /// There were such records when the last pull ended: they may have changed since, and be visible again.
    had_hidden: bool,
    warnings: BTreeSet<String>,
    requests: u64,
    tokens: u32,
    rate: f64,
    /// When checkpoint and progress were last written.
    saved: Option<Instant>,
    /// The listing that was read since.
    unsaved: Option<Listing>,
    /// Ids that questions by id brought back.
    answered: HashSet<String>,
    /// Of those that were asked for alone, what is there and wasn't shown.
    refused: HashSet<String>,
    /// Records are asked for that no listing has shown.
    asks_unlisted: bool,
    /// How many were asked for alone, and how many should have been.
    asked_alone: usize,
    unasked: usize,
    /// Records that are in no list, and answer when they are asked for alone.
    unlisted: BTreeMap<String, runs::Unlisted>,
    /// What answered after that isn't asked for again.
    asked_since: DateTime<Utc>,
    width: read::Width,
}

/// Pulls one entity type.
pub fn run(context: &Context, pool: &mut Pool, entity: EntityType, mode: Mode) -> Result<Outcome> {
    let started = Instant::now();
    let mut summary = pass(context, pool, entity, mode)?;
    // What the checkpoint's pull had read by then may have changed since. A pull in one go takes as long, too, but nobody
    // expects what he changed before he called to be missing.
    if summary.resumed_late {
        summary.follow(pass(context, pool, entity, Mode::Incremental)?);
    }
    Ok(summary.outcome(&context.key, entity, started.elapsed()))
}

/// One pass over the entity type, or the rest of one.
fn pass(context: &Context, pool: &mut Pool, entity: EntityType, mode: Mode) -> Result<Summary> {
    let rate = context.connector.rate();
    let tokens = loop {
        match read::lease(context, rate)? {
            Lease::Granted(granted) => break granted,
            Lease::Wait(wait) => pool.pause(wait),
        }
    };
    let ledger = Ledger {
        org: context.key.org.clone(),
        connector: context.key.connector,
        entity,
    };
    let (memory, shape) = short(|| prepare(context, &ledger))?;
    let (state, resumed, requests) = begin(context, pool, &ledger, mode, &memory)?;
    let overlap = overlap(context);
    let mut pull = Pull {
        ledger,
        shape: Arc::new(shape),
        recent: memory.last_sync.unwrap_or(DateTime::<Utc>::MIN_UTC + overlap) - overlap,
        rate,
        counts: Counts::default(),
        deleted: 0,
        hidden: 0,
        is_first: memory.last_sync.is_none(),
        lines: memory.lines,
        unshown: memory.unshown,
        short: BTreeMap::new(),
        had_hidden: memory.hidden > 0,
        warnings: BTreeSet::new(),
        requests,
        tokens,
        saved: None,
        unsaved: None,
        answered: HashSet::new(),
        refused: HashSet::new(),
        asks_unlisted: false,
        asked_alone: 0,
        unasked: 0,
        unlisted: memory.unlisted,
        asked_since: asked_since(context, mode),
        width: read::Width::new(pool.size()),
        context,
        pool,
        state,
    };
    pull.read_all()?;
    pull.verify()?;
    pull.finish(resumed)
}

/// Marks the entity type as in progress; new fingerprints first, where their version or field list changed.
fn prepare(context: &Context, ledger: &Ledger) -> Result<(Memory, Shape)> {
    let memory = runs::recall(&context.key, ledger.entity)?;
    let shape = ledger.shape()?;
    if memory.fingerprint_spec.as_deref() != Some(spec(&shape.comparison).as_str()) {
        ledger.align_fingerprints()?;
    }
    Ok((memory, shape))
}

/// The checkpoint of an unfinished pull, if it serves, or a new plan.
fn begin(
    context: &Context,
    pool: &Pool,
    ledger: &Ledger,
    mode: Mode,
    memory: &Memory,
) -> Result<(State, bool, u64)> {
    let entity = ledger.entity;
    if let Some(mut state) = resumable(memory, mode) {
        state.stack.restart();
        return Ok((state, true, 0));
    }
    let pass = choose_pass(context, mode, memory);
    let (plan, memo) =
        pool.ask(move |source: &dyn Source| Ok((source.plan(entity, pass)?, source.memo())))?;
    let mut state = State {
        full: plan
            .tasks
            .iter()
            .all(|task| task.content == Content::Full && task.since.is_none()),
        server_time: plan.server_time,
        sweeps: if plan.sweeps {
            plan.lists.clone()
        } else {
            Vec::new()
        },
        lists: plan.lists,
        stride: plan.stride,
        alone_at_most: plan.alone_at_most,
        totals: BTreeMap::new(),
        windows: BTreeMap::new(),
        stack: Stack::default(),
        pending: BTreeMap::new(),
        processed: 0,
        moved: BTreeSet::new(),
        ends: BTreeMap::new(),
        unreadable: BTreeMap::new(),
    };
    state.stack.push(plan.tasks);
    if !state.full {
        // their dates may be as they were when they could be read last
        state.stack.push(unreadable::again(&memory.unreadable));
    }
    short(|| {
        ledger.clear_windows()?;
        connector::mark_ok(&context.key.org, context.key.connector, &memo)?;
        runs::checkpoint(&context.key, entity, &state)
    })?;
    Ok((state, false, plan.requests.into()))
}

fn resumable(memory: &Memory, mode: Mode) -> Option<State> {
    let state: State = serde_json::from_value(memory.checkpoint.clone()?).ok()?;
    let young = Utc::now() - state.server_time < CHECKPOINT_LIFE;
    (young && (state.full || mode == Mode::Incremental)).then_some(state)
}

/// What changed since the last pull, with an overlap; everything where there was none, or none for too long.
fn choose_pass(context: &Context, mode: Mode, memory: &Memory) -> Pass {
    let settings = context.settings;
    let fresh = |last: DateTime<Utc>| {
        Duration::from_std(settings.full_pass_interval).is_ok_and(|interval| Utc::now() - last < interval)
    };
    match (mode, memory.last_sync) {
        (Mode::Incremental, Some(last)) if memory.last_full.is_some_and(fresh) => {
            Pass::Since(last - overlap(context))
        }
        _ => Pass::Full,
    }
}

/// Since when what no listing shows must have been asked for to be left alone: a full pass asks for all of it.
fn asked_since(context: &Context, mode: Mode) -> DateTime<Utc> {
    let interval = Duration::from_std(context.settings.full_pass_interval);
    match (mode, interval) {
        (Mode::Incremental, Ok(interval)) => Utc::now() - interval,
        (Mode::Incremental, Err(_)) => DateTime::<Utc>::MIN_UTC,
        _ => Utc::now(),
    }
}

impl Pull<'_> {
    fn finish(mut self, resumed: bool) -> Result<Summary> {
        yielding(|| self.ledger.scan_local())?;
        short(|| self.count_unshown(resumed))?;
        let is_partial = self.tell_doubts();
        let (records, linked) = yielding(|| self.conclude(is_partial))?;
        let changed = self.counts.inserted + self.counts.updated + self.deleted;
        if changed >= ANALYZE_FROM && changed * 10 >= records.unsigned_abs() {
            short(runs::analyze)?;
        }
        Ok(Summary {
            is_partial,
            unreadable: self.state.unreadable.len(),
            full: self.state.full,
            resumed,
            resumed_late: resumed && Utc::now() - self.state.server_time > overlap(self.context),
            records,
            counts: self.counts,
            deleted: self.deleted,
            linked,
            requests: self.requests,
            warnings: self.warnings,
        })
    }

    /// Matches, and remembers how far it came, in one transaction: the number of records, and of those that were linked.
    fn conclude(&self, is_partial: bool) -> Result<(i64, u64)> {
        let (key, state, ledger) = (&self.context.key, &self.state, &self.ledger);
        connector::mark_ok(&key.org, key.connector, &self.pool.source().memo())?;
        // the last pages may have come within the interval in which progress is not written
        runs::progress(key, "matching", state.processed, state.processed, "")?;
        let linked = ledger.link()?;
        ledger.clear_windows()?;
        let pulled = Pulled {
            server_time: state.server_time,
            full: state.full,
            hidden: self.hidden,
            lines: self.lines.as_ref(),
            unshown: &self.unshown,
            unreadable: &state.unreadable,
            unlisted: &self.unlisted,
            is_partial,
        };
        let records = runs::remember(key, ledger.entity, &pulled)?;
        if self.counts.inserted + self.counts.updated + self.deleted + linked > 0 {
            runs::drop_previews(key, ledger.entity)?;
        }
        Ok((records, linked))
    }
}

/// How much of the past every incremental pass reads again.
fn overlap(context: &Context) -> Duration {
    Duration::from_std(context.settings.pull_overlap).unwrap_or(Duration::seconds(120))
}
