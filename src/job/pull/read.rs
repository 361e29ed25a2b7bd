//! Reading: tasks out, results in, one short transaction for each.

use super::state::{known_total, to_value, window_key, State};
use super::{Context, Pull};
use crate::job::pool::Fetched;
use crate::store::{connector, run as runs};
use crate::worker::transaction::relaxed;
use serde_json::Value;
use std::time::{Duration, Instant};
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{At, Batch, Task};

/// Requests leased from the token bucket at a time.
const LEASE: u32 = 20;
/// Requests per second where the connector's settings say nothing.
const DEFAULT_RATE: f64 = 20.0;
/// Longest wait for the token bucket.
const PATIENCE: Duration = Duration::from_secs(60);
/// Progress is for people: more often would only cost.
const REPORT_EVERY: Duration = Duration::from_millis(250);

impl Pull<'_> {
    /// Works the stack off.
    pub(super) fn read_all(&mut self) -> Result<()> {
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
            let fetched = outcome?;
            let requests = fetched.batch.requests;
            self.requests += u64::from(requests);
            // repetitions have used up more than the one that was taken
            self.tokens = self.tokens.saturating_sub(requests.saturating_sub(1));
            self.store(task, fetched)?;
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
                self.pool.submit(&self.shape, task)?;
            }
        }
        Ok(())
    }

    /// One result, one transaction: records, proof and checkpoint.
    pub(super) fn store(&mut self, task: Task, fetched: Fetched) -> Result<()> {
        let Fetched { mut rows, batch } = fetched;
        let ids: Vec<String> = rows
            .iter()
            .map(|r| r.external_id.clone())
            .chain(batch.stubs.iter().map(|s| s.external_id.clone()))
            .collect();
        let mut next = self.state.clone();
        next.stack.done(&task);
        if let At::Ids(_) = task.at {
            self.answered.extend(ids.iter().cloned());
            if self.asks_unlisted {
                // Without its date it is read again once a listing shows it: what brings it back bumps none
                // (a customer's role that was another for a while).
                rows.iter_mut().for_each(|row| row.modified_at = None);
            }
        }
        self.count_progress(&mut next, &task, &batch, ids.len());
        next.stack.push(batch.more);
        let report = self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        let counts = relaxed(|| {
            let counts = self.ledger.upsert(&rows)?;
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
}

/// Requests from the connector's token bucket, or how long to wait for them. A remote that asked for a longer pause
/// than anybody would sit through is an error.
pub(super) fn lease(context: &Context, rate: f64) -> Result<std::result::Result<u32, Duration>> {
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

/// Requests per second that the connector may send.
pub(super) fn rate(context: &Context) -> f64 {
    let set = context.connector.settings.get("requests_per_second");
    set.and_then(Value::as_f64).unwrap_or(DEFAULT_RATE)
}
