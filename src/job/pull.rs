//! A pull: from the remote's pages to the ledger.
//!
//! 1. *Plan*: full pass or what changed, as the source can tell; or the checkpoint of an unfinished pull.
//! 2. *Fetch*: tasks from a stack, several at a time; each result is one short transaction that holds the
//!    records, what the window proves and the checkpoint together.
//! 3. *Verify*: close gaps between windows, compare counts, sweep ids where they differ, and ask by id after
//!    every record that was not met. Only what is proven gone is marked so.
//! 4. *Match* and remember.

use super::pool::Pool;

use super::{check_entity, Context, Outcome};
use crate::store::connector;
use crate::store::ledger::{Counts, Ledger};
use crate::store::run::{self as runs, Memory};
use crate::worker::transaction::{relaxed, short};
use crate::worker::Mode;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;
use sync_engine::core::{fingerprint, EntityType};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::stack::Stack;
use sync_engine::source::{At, Batch, Content, Pass, Source, Task};

/// Records not met that are asked after one by one; beyond, the remote's own count has to prove it.
const ASK_AT_MOST: i64 = 10_000;
/// Ids in one question.
const IDS_PER_TASK: usize = 100;
/// Rounds of closing gaps before a listing is given up as one that never stands still.
const GAP_ROUNDS: usize = 12;
/// From one window of a listing to the next; less than a window, so that neighbours overlap.
const STRIDE: u64 = 99;
/// Requests leased from the token bucket at a time.
const LEASE: u32 = 20;
/// Requests per second where the connector's settings say nothing.
const DEFAULT_RATE: f64 = 20.0;
/// Changed records from which a pull refreshes the ledger's statistics, if they are a tenth of all.
const ANALYZE_FROM: u64 = 1000;
/// Longest wait for the token bucket.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// Progress is for people: more often would only cost.
const REPORT_EVERY: std::time::Duration = std::time::Duration::from_millis(250);
/// An unfinished pull older than this is begun anew.
const CHECKPOINT_LIFE: Duration = Duration::hours(24);

/// What is stored between two pages, and taken up after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    full: bool,
    /// The remote's clock at the start.
    server_time: DateTime<Utc>,
    /// Listings whose totals together are the entity type.
    lists: Vec<String>,
    /// Listings of which every id is (being) read.
    sweeps: Vec<String>,
    /// Totals as the remote told them last, by window key.
    totals: BTreeMap<String, u64>,
    /// How each windowed listing is read, by window key.
    windows: BTreeMap<String, (Content, Option<DateTime<Utc>>)>,
    stack: Stack,
    /// Ids that must be read in full, by listing, until there are enough for a request.
    #[serde(default)]
    pending: BTreeMap<String, Vec<String>>,
    processed: u64,
}

struct Pull<'a> {
    context: &'a Context<'a>,
    pool: &'a mut Pool,
    ledger: Ledger,
    state: State,
    /// Modified since then: perhaps twice within one second, so read again.
    recent: DateTime<Utc>,
    counts: Counts,
    deleted: u64,
    requests: u64,
    tokens: u32,
    rate: f64,
    /// When progress was last written.
    reported: Option<Instant>,
    /// Ids that questions by id brought back.
    answered: HashSet<String>,
}

/// Pulls one entity type.
pub fn run(context: &Context, pool: &mut Pool, entity: EntityType, mode: Mode) -> Result<Outcome> {
    let started = Instant::now();
    check_entity(&context.connector.kind, pool.source().entities(), entity)?;
    let rate = context
        .connector
        .settings
        .get("requests_per_second")
        .and_then(Value::as_f64)
        .unwrap_or(DEFAULT_RATE);
    let tokens = loop {
        match lease(context, rate)? {
            Ok(granted) => break granted,
            Err(wait) => pool.pause(wait),
        }
    };
    let memory = short(|| prepare(context, entity))?;
    let (state, resumed, requests) = begin(context, pool, entity, mode, &memory)?;
    let overlap = Duration::from_std(context.settings.pull_overlap).unwrap_or(Duration::seconds(120));
    let mut pull = Pull {
        ledger: Ledger {
            org: context.key.org.clone(),
            connector: context.key.connector,
            entity,
        },
        recent: memory.last_sync.unwrap_or(DateTime::<Utc>::MIN_UTC + overlap) - overlap,
        rate,
        counts: Counts::default(),
        deleted: 0,
        requests,
        tokens,
        reported: None,
        answered: HashSet::new(),
        context,
        pool,
        state,
    };
    pull.read_all()?;
    pull.verify()?;
    pull.finish(started, resumed)
}

/// Requests from the connector's token bucket, or how long to wait for them. A remote that asked for a longer pause
/// than anybody would sit through is an error.
fn lease(context: &Context, rate: f64) -> Result<std::result::Result<u32, std::time::Duration>> {
    let lease = relaxed(|| connector::take_tokens(&context.key.org, context.key.connector, LEASE, rate))?;
    if lease.granted > 0 {
        return Ok(Ok(lease.granted));
    }
    if lease.wait() > PATIENCE {
        return Err(
            Error::new(Code::Throttled, "the remote asked not to be called for a while")
                .hint(format!("Try again in {} s.", lease.wait().as_secs()))
                .retry_after(lease.wait()),
        );
    }
    Ok(Err(lease.wait()))
}

/// Marks the entity type as in progress; new fingerprints first, where their version or field list changed.
fn prepare(context: &Context, entity: EntityType) -> Result<Memory> {
    let memory = runs::recall(&context.key, entity)?;
    let spec = fingerprint::spec(entity);
    if memory.fingerprint_spec.as_deref() != Some(spec.as_str()) {
        runs::align_fingerprints(&context.key, entity, &spec)?;
    }
    Ok(memory)
}

/// The checkpoint of an unfinished pull, if it serves, or a new plan.
fn begin(
    context: &Context,
    pool: &Pool,
    entity: EntityType,
    mode: Mode,
    memory: &Memory,
) -> Result<(State, bool, u64)> {
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
        totals: BTreeMap::new(),
        windows: BTreeMap::new(),
        stack: Stack::default(),
        pending: BTreeMap::new(),
        processed: 0,
    };
    state.stack.push(plan.tasks);
    let ledger = Ledger {
        org: context.key.org.clone(),
        connector: context.key.connector,
        entity,
    };
    short(|| {
        ledger.clear_windows()?;
        connector::mark_ok(&context.key.org, context.key.connector, &memo)?;
        runs::checkpoint(&context.key, entity, Some(&to_value(&state)?))
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
            Pass::Since(last - Duration::from_std(settings.pull_overlap).unwrap_or_default())
        }
        _ => Pass::Full,
    }
}

impl State {
    /// Adds ids to read in full; as soon as they fill a request, it is on the stack.
    fn pend(&mut self, list: &str, ids: Vec<String>) {
        let pending = self.pending.entry(list.to_owned()).or_default();
        pending.extend(ids);
        while pending.len() >= IDS_PER_TASK {
            let rest = pending.split_off(IDS_PER_TASK);
            let full = std::mem::replace(pending, rest);
            self.stack.push(ask_for(list, &full));
        }
    }

    /// Whatever is left.
    fn flush(&mut self) {
        for (list, ids) in std::mem::take(&mut self.pending) {
            self.stack.push(ask_for(&list, &ids));
        }
    }
}

impl Pull<'_> {
    /// Works the stack off.
    fn read_all(&mut self) -> Result<()> {
        loop {
            if self.state.stack.is_empty() {
                self.state.flush();
            }
            if self.state.stack.is_empty() {
                return Ok(());
            }
            self.hand_out()?;
            if self.pool.is_idle() {
                continue;
            }
            let (task, outcome) = self.pool.next()?;
            let batch = outcome?;
            self.requests += u64::from(batch.requests);
            // repetitions have used up more than the one that was taken
            self.tokens = self.tokens.saturating_sub(batch.requests.saturating_sub(1));
            self.store(task, batch)?;
        }
    }

    /// Gives out as many tasks as there are free threads and tokens.
    fn hand_out(&mut self) -> Result<()> {
        while self.pool.free() > 0 && self.state.stack.has_open() {
            if self.tokens == 0 {
                match lease(self.context, self.rate)? {
                    Ok(granted) => self.tokens = granted,
                    // results that are under way come first
                    Err(_) if !self.pool.is_idle() => return Ok(()),
                    Err(wait) => {
                        self.pool.pause(wait);
                        continue;
                    }
                }
            }
            if let Some(task) = self.state.stack.take() {
                self.tokens = self.tokens.saturating_sub(1);
                self.pool.submit(self.ledger.entity, task)?;
            }
        }
        Ok(())
    }

    /// One result, one transaction: records, proof and checkpoint.
    fn store(&mut self, task: Task, batch: Batch) -> Result<()> {
        let ids: Vec<String> = batch
            .records
            .iter()
            .map(|r| r.external_id.clone())
            .chain(batch.stubs.iter().map(|s| s.external_id.clone()))
            .collect();
        let mut next = self.state.clone();
        next.stack.done(&task);
        if let At::Ids(_) = task.at {
            self.answered.extend(ids.iter().cloned());
        }
        self.count_progress(&mut next, &task, &batch, ids.len());
        next.stack.push(batch.more);
        let report = self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        let counts = relaxed(|| {
            let counts = self.ledger.upsert(&batch.records)?;
            if let Some(position) = task.at.offset() {
                self.ledger
                    .note_window(&window_key(&task), position, batch.end, batch.total, &ids)?;
            }
            self.ledger.note_childless("variations", &batch.childless)?;
            if !batch.stubs.is_empty() {
                let stale = self.ledger.stale(&batch.stubs, self.recent)?;
                next.pend(&task.list, stale);
            }
            runs::checkpoint(&self.context.key, self.ledger.entity, Some(&to_value(&next)?))?;
            if report {
                let total = next
                    .lists
                    .iter()
                    .filter_map(|list| known_total(&next, list))
                    .sum();
                runs::progress(&self.context.key, "fetching", total, next.processed, &task.list)?;
            }
            Ok(counts)
        })?;
        if report {
            self.reported = Some(Instant::now());
        }
        self.counts += counts;
        self.state = next;
        Ok(())
    }

    fn count_progress(&self, next: &mut State, task: &Task, batch: &Batch, met: usize) {
        let Some(position) = task.at.offset() else { return };
        // neighbouring windows share a record
        next.processed += (met as u64).saturating_sub(u64::from(position > 0));
        if task.list.contains(':') {
            // one record's children: there may be thousands of such listings, and none of their own needs this
            return;
        }
        let key = window_key(task);
        if let Some(total) = batch.total {
            next.totals.insert(key.clone(), total);
        }
        next.windows.insert(key, (task.content, task.since));
    }

    /// Proves that everything was met, or finds what was not.
    fn verify(&mut self) -> Result<()> {
        self.close_gaps()?;
        self.compare_counts()?;
        let mut swept = self.state.sweeps.clone();
        swept.extend(short(|| self.ledger.child_lists())?);
        self.settle_missing(&swept)
    }

    /// Reads between windows that don't overlap until all do.
    fn close_gaps(&mut self) -> Result<()> {
        for _ in 0..GAP_ROUNDS {
            let gaps = short(|| self.ledger.gaps())?;
            if gaps.is_empty() {
                return Ok(());
            }
            for gap in gaps {
                let (content, since) = self
                    .state
                    .windows
                    .get(&gap.list)
                    .copied()
                    .unwrap_or((Content::Full, None));
                let list = gap.list.split('@').next().unwrap_or_default().to_owned();
                let places = match gap.right {
                    // the end was not reached: go on behind the last window
                    None => vec![At::Tail(gap.left + STRIDE)],
                    // too much has moved for a window in between: read both again
                    Some(right) if right <= gap.left + 1 => vec![At::Offset(gap.left), At::Offset(right)],
                    Some(right) => vec![At::Offset((gap.left + right) / 2)],
                };
                let windows = places.into_iter().map(|at| Task {
                    list: list.clone(),
                    content,
                    since,
                    at,
                });
                self.state.stack.push(windows);
            }
            self.read_all()?;
        }
        Err(Error::new(
            Code::Nonsense,
            "the remote's listing kept changing while it was read",
        )
        .detail(format!(
            "Neighbouring pages still did not fit together after {GAP_ROUNDS} rounds."
        ))
        .hint("Try again at a quieter time; nothing was marked as deleted."))
    }

    /// After a pass over changes only: where the remote's count and the ledger's differ, all ids are read.
    fn compare_counts(&mut self) -> Result<()> {
        let unswept: Vec<String> = self
            .state
            .lists
            .iter()
            .filter(|l| !self.state.sweeps.contains(l))
            .cloned()
            .collect();
        for list in unswept {
            let first = Task {
                list: list.clone(),
                content: Content::Ids,
                since: None,
                at: At::Offset(0),
            };
            let entity = self.ledger.entity;
            let question = first.clone();
            let batch = self
                .pool
                .ask(move |source: &dyn Source| source.fetch(entity, &question))?;
            self.requests += u64::from(batch.requests);
            let known = short(|| self.ledger.live_count(&list))?;
            if batch.total == Some(known) {
                continue;
            }
            self.state.sweeps.push(list);
            self.store(first, batch)?;
            self.read_all()?;
            self.close_gaps()?;
        }
        Ok(())
    }

    /// Marks what is gone: proven by the remote itself, id by id, or, where that would be too many questions,
    /// by its count.
    fn settle_missing(&mut self, swept: &[String]) -> Result<()> {
        let missing = short(|| self.ledger.missing(swept, ASK_AT_MOST + 1))?;
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() as i64 > ASK_AT_MOST {
            self.prove_by_count()?;
            return self.mark_all_missing(swept);
        }
        self.answered.clear();
        let mut by_list: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for record in &missing {
            by_list
                .entry(&record.list)
                .or_default()
                .push(record.external_id.clone());
        }
        for (list, ids) in by_list {
            self.state.stack.push(ask_for(list, &ids));
        }
        self.read_all()?;
        let gone: Vec<String> = missing
            .into_iter()
            .map(|m| m.external_id)
            .filter(|id| !self.answered.contains(id))
            .collect();
        self.deleted += short(|| self.ledger.mark_gone(&gone))?;
        Ok(())
    }

    /// Piece by piece, so that memory stays flat even where everything is gone.
    fn mark_all_missing(&mut self, swept: &[String]) -> Result<()> {
        loop {
            let gone = short(|| {
                let missing = self.ledger.missing(swept, 10 * ASK_AT_MOST)?;
                let ids: Vec<String> = missing.into_iter().map(|m| m.external_id).collect();
                self.ledger.mark_gone(&ids)
            })?;
            if gone == 0 {
                return Ok(());
            }
            self.deleted += gone;
        }
    }

    fn prove_by_count(&self) -> Result<()> {
        for list in &self.state.sweeps {
            let seen = short(|| self.ledger.seen_count(list))?;
            let told = self.state.totals.get(list).copied();
            if told != Some(seen) {
                return Err(Error::new(Code::Nonsense, format!("the listing of {list} is incomplete"))
                    .detail(format!("{seen} records came, {} were announced.", told.unwrap_or_default()))
                    .hint("Nothing was marked as deleted. Look for plugins that filter the API's replies, then pull again."));
            }
        }
        Ok(())
    }

    fn finish(self, started: Instant, resumed: bool) -> Result<Outcome> {
        let Pull {
            context,
            ledger,
            state,
            counts,
            deleted,
            requests,
            ..
        } = self;
        let key = &context.key;
        let (count, linked) = short(|| {
            runs::progress(key, "matching", 0, 0, "")?;
            let linked = ledger.link()?;
            ledger.clear_windows()?;
            let count = runs::remember(key, ledger.entity, state.server_time, state.full)?;
            if counts.inserted + counts.updated + deleted + linked > 0 {
                runs::drop_previews(key, ledger.entity)?;
            }
            Ok((count, linked))
        })?;
        let changed = counts.inserted + counts.updated + deleted;
        if changed >= ANALYZE_FROM && changed * 10 >= count.unsigned_abs() {
            short(runs::analyze)?;
        }
        let result = json!({
            "syncId": key.sync_id,
            "syncType": key.sync_type,
            "entityType": ledger.entity.name(),
            "status": "success",
            "pass": if state.full { "full" } else { "incremental" },
            "resumed": resumed,
            "records": count,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "deleted": deleted,
            "linked": linked,
            "requests": requests,
            "durationMs": started.elapsed().as_millis() as u64,
        });
        Ok(Outcome {
            result,
            count: changed,
        })
    }
}

/// Windows of a listing and of its changes since some time are told apart.
fn window_key(task: &Task) -> String {
    match task.since {
        Some(since) => format!("{}@{}", task.list, since.timestamp()),
        None => task.list.clone(),
    }
}

fn known_total(state: &State, list: &str) -> Option<u64> {
    state
        .totals
        .iter()
        .find(|(key, _)| key.split('@').next() == Some(list))
        .map(|(_, total)| *total)
}

fn ask_for(list: &str, ids: &[String]) -> Vec<Task> {
    ids.chunks(IDS_PER_TASK)
        .map(|chunk| Task {
            list: list.to_owned(),
            content: Content::Full,
            since: None,
            at: At::Ids(chunk.to_vec()),
        })
        .collect()
}

fn to_value<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::new(Code::Internal, e.to_string()))
}
