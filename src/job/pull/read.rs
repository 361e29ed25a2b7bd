//! Reading: tasks out, results in, one short transaction for those that came together.

use super::state::{known_total, State};
use super::Pull;
use crate::job::pool::Fetched;
use crate::job::run::Context;
use crate::job::tokens::{self, Lease};
use crate::store::run as runs;
use crate::store::sweep::Told;
use crate::store::transaction::{relaxed, yielding};
use std::time::{Duration, Instant};
use sync_engine::core::Listing;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{At, Batch, Task};

/// Requests leased from the token bucket at a time.
const LEASE: u32 = 20;
/// Longest wait for the token bucket: nobody would sit through more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A crash costs what was read since: it is read again, and found unchanged. More often would only cost, and ever more:
/// while a caller waits, no version of the checkpoint's row can be cleared away, and each update passes all of them.
const SAVE_EVERY: Duration = Duration::from_millis(250);

/// How many windows in a row may end with the same record: what is restored meanwhile moves the others to the right.
const SAME_END: u32 = 3;

/// Answers that come in time before one request more is made at once.
const CALM: usize = 8;

/// What tasks brought, to be written together.
type Results = Vec<(Task, Fetched)>;

impl Pull<'_> {
    /// Works the stack off.
    pub(super) fn read_all(&mut self) -> Result<()> {
        loop {
            if self.state.stack.is_empty() {
                self.state.flush();
            }
            if self.state.stack.is_empty() {
                return self.save();
            }
            self.hand_out()?;
            if self.pool.is_idle() {
                continue;
            }
            let (arrived, failed) = self.arrived()?;
            if !arrived.is_empty() {
                self.store(arrived)?;
            }
            if let Some(error) = failed {
                // the error is the one to tell, even where this fails too
                let _ = self.save();
                return Err(error);
            }
        }
    }

    /// Checkpoint and progress.
    fn write_down(&self, state: &State, list: &Listing) -> Result<()> {
        runs::checkpoint(&self.context.key, self.ledger.entity, state)?;
        let lists = state.lists.iter();
        let total = lists.filter_map(|list| known_total(state, list)).sum();
        runs::progress(
            &self.context.key,
            "fetching",
            total,
            state.processed,
            &list.to_string(),
        )
    }

    /// The same, unless they are there already.
    fn save(&mut self) -> Result<()> {
        if let Some(list) = self.unsaved.take() {
            relaxed(|| self.write_down(&self.state, &list))?;
            self.saved = Some(Instant::now());
        }
        Ok(())
    }

    /// The next result. Whoever has to wait for it longer than that has the time to save what there is.
    fn next(&mut self) -> Result<(Task, Result<Fetched>)> {
        if self.unsaved.is_some() {
            let due = self.saved.map(|at| at + SAVE_EVERY);
            if let Some(result) = self.pool.next(due)? {
                return Ok(result);
            }
            self.save()?;
        }
        let none = || Error::new(Code::Internal, "no result came");
        self.pool.next(None)?.ok_or_else(none)
    }

    /// Gives out as many tasks as there are free threads and tokens, and waits for tokens if need be.
    fn hand_out(&mut self) -> Result<()> {
        loop {
            self.submit()?;
            if self.pool.is_full(self.width.now) || !self.state.stack.has_open() {
                return Ok(());
            }
            match lease(self.context, self.rate)? {
                Lease::Granted(granted) => self.tokens = granted,
                // results that are under way come first
                Lease::Wait(_) if !self.pool.is_idle() => return Ok(()),
                Lease::Wait(wait) => self.pool.pause(wait),
            }
        }
    }

    /// Waits until the token bucket allows one request more.
    pub(super) fn take_token(&mut self) -> Result<()> {
        while self.tokens == 0 {
            match lease(self.context, self.rate)? {
                Lease::Granted(granted) => self.tokens = granted,
                Lease::Wait(wait) => self.pool.pause(wait),
            }
        }
        self.tokens -= 1;
        Ok(())
    }

    /// Gives out what tokens in hand allow.
    fn submit(&mut self) -> Result<()> {
        while !self.pool.is_full(self.width.now) && self.tokens > 0 {
            let Some(task) = self.state.stack.take() else {
                break;
            };
            self.tokens -= 1;
            self.pool.submit(&self.shape, task)?;
        }
        Ok(())
    }

    /// Waits for a result and takes those along that have come meanwhile, up to the first failure. The threads get
    /// their next tasks at once, so that they read while this is written.
    fn arrived(&mut self) -> Result<(Results, Option<Error>)> {
        let mut arrived = Vec::new();
        let mut next = Some(self.next()?);
        while let Some((task, outcome)) = next {
            let fetched = match outcome {
                Ok(fetched) => fetched,
                Err(error) => return Ok((arrived, Some(error))),
            };
            let requests = fetched.batch.requests;
            self.requests += u64::from(requests);
            self.width.note(fetched.batch.is_strained);
            // repetitions have used up more than the one that was taken
            self.tokens = self.tokens.saturating_sub(requests.saturating_sub(1));
            arrived.push((task, fetched));
            next = self.pool.ready()?;
        }
        self.submit()?;
        Ok((arrived, None))
    }

    /// Some results, one transaction: records, what they prove and, now and then, checkpoint and progress.
    pub(super) fn store(&mut self, mut results: Results) -> Result<()> {
        let Some(list) = results.last().map(|(task, _)| task.list.clone()) else {
            return Ok(());
        };
        let mut accounted = self.state.clone();
        for (task, fetched) in &mut results {
            goes_on(&mut accounted, task, fetched).map_err(|error| self.start_over(error))?;
            self.account(&mut accounted, task, fetched)?;
        }
        let is_due = self.saved.is_none_or(|at| at.elapsed() >= SAVE_EVERY);
        let (counts, next) = yielding(|| {
            let mut next = accounted.clone();
            let counts = self.ledger.upsert(
                self.is_first,
                results.iter().flat_map(|(_, fetched)| &fetched.rows),
            )?;
            for (task, fetched) in &results {
                self.note(&mut next, task, fetched)?;
            }
            if is_due {
                self.write_down(&next, &list)?;
            }
            Ok((counts, next))
        })?;
        self.unsaved = (!is_due).then_some(list);
        if is_due {
            self.saved = Some(Instant::now());
        }
        self.counts += counts;
        self.state = next;
        Ok(())
    }

    /// What a result changes in the checkpoint.
    fn account(&mut self, next: &mut State, task: &Task, fetched: &mut Fetched) -> Result<()> {
        next.stack.done(task);
        if task.at.is_by_id() {
            let hidden = std::mem::take(&mut fetched.batch.hidden);
            if let (At::Alone(id), true) = (&task.at, fetched.rows.is_empty()) {
                self.refused.insert(id.clone());
            }
            self.hidden += hidden.len() as u64;
            self.answered
                .extend(ids(fetched).map(str::to_owned).chain(hidden));
            if self.asks_unlisted {
                // Without its date it is read again once a listing shows it: what brings it back bumps none
                // (a customer's role that was another for a while).
                fetched.rows.iter_mut().for_each(|row| row.modified_at = None);
            }
        }
        self.count_progress(next, task, &fetched.batch, ids(fetched).count());
        self.warnings.extend(fetched.batch.warnings.drain(..));
        next.stack.push(std::mem::take(&mut fetched.batch.more));
        let unreadable = fetched.batch.unreadable.clone();
        let read = fetched.rows.iter().map(|row| row.external_id.as_str());
        next.note_unreadable(&task.list, unreadable, read)
    }

    /// What a result proves, and which of its records must be read in full.
    fn note(&self, next: &mut State, task: &Task, fetched: &Fetched) -> Result<()> {
        let batch = &fetched.batch;
        if let Some(position) = task.at.position() {
            let ids: Vec<&str> = ids(fetched).collect();
            let keyset = matches!(task.at, At::Range { .. });
            let told = Told {
                end: batch.end,
                total: batch.total,
                unshown: batch.unshown,
            };
            self.ledger
                .note_window(&task.series(), position, keyset, told, ids)?;
        }
        if let Some(children) = self.pool.source().children(self.ledger.entity) {
            self.ledger.note_childless(children, &batch.childless)?;
        }
        if !batch.stubs.is_empty() {
            let stale = self.ledger.stale(&batch.stubs, self.recent)?;
            next.pend(&task.list, stale);
        }
        Ok(())
    }

    fn count_progress(&self, next: &mut State, task: &Task, batch: &Batch, met: usize) {
        if task.at.position().is_none() {
            return;
        }
        // neighbouring windows share a record
        let shared = task.at.offset().is_some_and(|offset| offset > 0);
        next.processed += (met as u64).saturating_sub(u64::from(shared));
        if task.list.parent().is_some() {
            // one record's children: there may be thousands of such listings, and none of their own needs this
            return;
        }
        let series = task.series();
        if let Some(total) = batch.total {
            next.totals.insert(series.clone(), total);
        }
        next.windows.insert(series, (task.content, task.since));
    }
}

/// How many requests are under way at once: fewer after the remote was too slow, more again when it isn't.
#[derive(Debug)]
pub(super) struct Width {
    pub now: usize,
    most: usize,
    /// Answers in a row that came in time.
    calm: usize,
}

impl Width {
    pub fn new(most: usize) -> Self {
        Width {
            now: most,
            most,
            calm: 0,
        }
    }

    fn note(&mut self, is_strained: bool) {
        if is_strained {
            self.now = (self.now / 2).max(1);
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm >= CALM {
            self.now = (self.now + 1).min(self.most);
            self.calm = 0;
        }
    }
}

/// A listing that has more comes further with each window. One that doesn't would never end.
fn goes_on(next: &mut State, task: &Task, fetched: &Fetched) -> Result<()> {
    let (At::Tail(offset), Some(last)) = (&task.at, ids(fetched).last()) else {
        return Ok(());
    };
    let series = task.series();
    let times = match next.ends.remove(&series) {
        Some((at, before, times)) if before == last && *offset > at => times + 1,
        _ => 1,
    };
    if fetched.batch.end {
        return Ok(());
    }
    if times > SAME_END {
        return Err(Error::new(
            Code::Nonsense,
            format!(
                "the remote shows the same {} wherever it is asked to begin",
                task.list.name()
            ),
        )
        .hint(
            "A cache or a plugin of the remote ignores the query's offset. Nothing was marked as deleted.",
        ));
    }
    next.ends.insert(series, (*offset, last.to_owned(), times));
    Ok(())
}

/// The records that a result is about; what could not be read is one that was met.
fn ids(fetched: &Fetched) -> impl Iterator<Item = &str> {
    let rows = fetched.rows.iter().map(|row| &row.external_id);
    let unread = fetched.batch.unreadable.iter().map(|unread| &unread.id);
    let stubs = fetched.batch.stubs.iter().map(|stub| &stub.external_id);
    unread.chain(rows).chain(stubs).map(String::as_str)
}

/// Requests from the connector's token bucket, or how long to wait for them.
pub(super) fn lease(context: &Context, rate: f64) -> Result<Lease> {
    tokens::lease(&context.key.org, context.key.connector, rate, LEASE, LONGEST_WAIT)
}
