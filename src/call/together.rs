//! Several jobs of one call, each in a worker of its own: a few at a time, with repetitions, interruptible as a whole.

use super::{Begun, Call, PLACE, TURN};
use crate::pg::session::{organisation, pause};
use crate::request::{Answer, Job};
use crate::settings::Settings;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use sync_engine::core::Backoff;
use sync_engine::error::{Code, Error, Result};

/// Longest wait that a remote may ask for before a repetition.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How a job ended.
pub struct Finished {
    pub outcome: Result<Value>,
    /// How often it was begun.
    pub attempts: u32,
    /// From the first beginning to the end, waits included.
    pub took: Duration,
}

/// A call for [`run_orders`].
pub struct Order {
    pub call: Call,
    /// How long it may take, waiting for a place included. One with a limit is begun once, and ended then.
    pub time_limit: Option<Duration>,
}

/// Where orders come from, and where is told how they ended.
pub trait Orders {
    /// The next ones, once all before are begun. None: there are no more.
    fn more(&mut self) -> Vec<Order>;
    /// How the order of that number ended; they are numbered as they came.
    fn ended(&mut self, number: usize, how: Finished);
}

/// An order, and what became of it so far.
struct Errand {
    /// Its place in the answer.
    number: usize,
    order: Order,
    attempts: u32,
    /// How often there was no place for it, or others were in the way.
    refusals: u32,
    begun: Option<Instant>,
    /// Not before then.
    due: Instant,
}

/// All errands of a call.
struct Errands {
    at_most: usize,
    retries: u32,
    backoff: Backoff,
    waiting: VecDeque<Errand>,
    running: Vec<(Errand, Begun)>,
    /// All places are taken: when to look again, and how often we have.
    full: Option<(Instant, u32)>,
    /// How many there were.
    taken: usize,
    finished: Vec<(usize, Finished)>,
}

/// All orders at once, and their ends.
struct Collected {
    orders: Vec<Order>,
    ends: Vec<(usize, Finished)>,
}

impl Orders for Collected {
    fn more(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    fn ended(&mut self, number: usize, how: Finished) {
        self.ends.push((number, how));
    }
}

/// Carries out jobs in their order, at most so many at once and no more than there are places for. One that fails in a
/// way that passes is repeated; none stands in another's way. Returns how each ended, in the order of `jobs`.
pub fn run_together(sync_type: &str, jobs: Vec<Job>, at_most: usize) -> Result<Vec<Finished>> {
    let org = organisation()?;
    let order = |job| -> Result<Order> {
        Ok(Order {
            call: Call::new(org.clone(), sync_type, job)?,
            time_limit: None,
        })
    };
    let runs_of_one = Settings::current().runs_of_one().unsigned_abs() as usize;
    let mut all = Collected {
        orders: jobs.into_iter().map(order).collect::<Result<_>>()?,
        ends: Vec::new(),
    };
    run_orders(&mut all, at_most.min(runs_of_one));
    all.ends.sort_by_key(|(number, _)| *number);
    Ok(all.ends.into_iter().map(|(_, how)| how).collect())
}

/// The same for several organisations, and for as many orders as there are: no more are held than wait or are carried out.
pub fn run_orders(orders: &mut dyn Orders, at_most: usize) {
    let settings = Settings::current();
    let mut errands = Errands {
        at_most: at_most.min(settings.max_workers.unsigned_abs() as usize).max(1),
        retries: settings.max_retries,
        backoff: Backoff::new(settings.retry_backoff, settings.retry_backoff_max),
        waiting: VecDeque::new(),
        running: Vec::new(),
        full: None,
        taken: 0,
        finished: Vec::new(),
    };
    let mut is_open = true;
    while is_open || errands.are_left() {
        if is_open && errands.waiting.is_empty() {
            let next = orders.more();
            is_open = !next.is_empty();
            errands.take(next);
        }
        errands.start_due();
        errands.collect();
        for (number, how) in errands.finished.drain(..) {
            orders.ended(number, how);
        }
        if errands.are_left() && !(is_open && errands.waiting.is_empty()) && errands.nothing_due() {
            pause(errands.next_wait());
        }
    }
}

impl Errands {
    fn take(&mut self, orders: Vec<Order>) {
        let now = Instant::now();
        for order in orders {
            self.waiting.push_back(Errand {
                number: self.taken,
                order,
                attempts: 0,
                refusals: 0,
                begun: None,
                due: now,
            });
            self.taken += 1;
        }
    }

    fn are_left(&self) -> bool {
        !self.waiting.is_empty() || !self.running.is_empty()
    }

    fn may_start(&self, now: Instant) -> bool {
        self.running.len() < self.at_most && self.full.is_none_or(|(until, _)| until <= now)
    }

    fn nothing_due(&self) -> bool {
        let now = Instant::now();
        let due = self.may_start(now) && self.waiting.iter().any(|errand| errand.due <= now);
        !due && !self
            .running
            .iter()
            .any(|(errand, begun)| begun.is_over() || errand.is_overdue(now))
    }

    fn start_due(&mut self) {
        loop {
            let now = Instant::now();
            let next = self.waiting.iter().position(|errand| errand.due <= now);
            let Some(mut errand) = next
                .filter(|_| self.may_start(now))
                .and_then(|at| self.waiting.remove(at))
            else {
                return;
            };
            errand.begun.get_or_insert(now);
            match errand.order.call.try_begin() {
                Ok(Some(begun)) => self.running.push((errand, begun)),
                Ok(None) => self.try_later(errand, TURN, out_of_time()),
                Err(error) => self.ended(errand, Err(error)),
            }
        }
    }

    fn collect(&mut self) {
        while let Some(at) = self.running.iter().position(|(_, begun)| begun.is_over()) {
            let (mut errand, begun) = self.running.swap_remove(at);
            match begun.answer() {
                Ok(Answer::Done(value)) => self.ended(errand, Ok(value)),
                Ok(Answer::Behind(lock)) => {
                    errand.order.call.is_behind(lock);
                    self.try_later(errand, TURN, out_of_time());
                }
                Err(error) => self.ended(errand, Err(error)),
            }
        }
        let now = Instant::now();
        while let Some(at) = self.running.iter().position(|(errand, _)| errand.is_overdue(now)) {
            let (errand, begun) = self.running.swap_remove(at);
            begun.end_late();
            self.finish(errand, Err(out_of_time()));
        }
    }

    fn ended(&mut self, mut errand: Errand, outcome: Result<Value>) {
        match outcome {
            Err(error) if error.code == Code::LocalLimit && errand.order.time_limit.is_some() => {
                self.try_later(errand, PLACE, error);
            }
            Err(error) if error.code == Code::LocalLimit => self.wait_for_place(errand),
            outcome => {
                self.full = None;
                errand.attempts += 1;
                match outcome
                    .as_ref()
                    .err()
                    .and_then(|error| self.wait_before_repeating(&errand, error))
                {
                    Some(wait) => {
                        errand.due = Instant::now() + wait;
                        self.waiting.push_back(errand);
                    }
                    None => self.finish(errand, outcome),
                }
            }
        }
    }

    /// Somebody else has the places: nothing of ours starts until one is free, and nothing fails.
    fn wait_for_place(&mut self, errand: Errand) {
        let tries = self.full.map_or(0, |(_, tries)| tries + 1);
        self.full = Some((Instant::now() + PLACE.ceiling(tries), tries));
        self.waiting.push_front(errand);
    }

    /// It may be this organisation alone that has no place, or others are at the same records: the other errands go on.
    fn try_later(&mut self, mut errand: Errand, waits: Backoff, error: Error) {
        let now = Instant::now();
        if errand.is_overdue(now) {
            return self.finish(errand, Err(error));
        }
        errand.due = now + waits.ceiling(errand.refusals);
        errand.refusals += 1;
        self.waiting.push_back(errand);
    }

    fn finish(&mut self, errand: Errand, outcome: Result<Value>) {
        let finished = Finished {
            outcome,
            attempts: errand.attempts,
            took: errand.begun.map(|begun| begun.elapsed()).unwrap_or_default(),
        };
        self.finished.push((errand.number, finished));
    }

    /// How long to wait before another attempt; None where there is none to make.
    fn wait_before_repeating(&self, errand: &Errand, error: &Error) -> Option<Duration> {
        let asked = error.retry_after.unwrap_or_default();
        let again = passes(error)
            && errand.order.time_limit.is_none()
            && errand.attempts <= self.retries
            && asked <= LONGEST_PAUSE;
        again.then(|| self.backoff.ceiling(errand.attempts - 1).max(asked))
    }

    fn next_wait(&self) -> Duration {
        let now = Instant::now();
        let due = self.waiting.iter().map(|errand| errand.due).min();
        let wake = match (self.running.len() < self.at_most, self.full) {
            (false, _) => None,
            (true, Some((until, _))) => due.map(|due| due.max(until)),
            (true, None) => due,
        };
        let overdue = self.running.iter().filter_map(|(errand, _)| errand.end()).min();
        let wake = wake.into_iter().chain(overdue).min();
        // the end of a worker wakes us as well
        wake.map_or(Duration::from_secs(10), |at| at.saturating_duration_since(now))
            .max(Duration::from_millis(1))
    }
}

impl Errand {
    /// When it is ended.
    fn end(&self) -> Option<Instant> {
        Some(self.begun? + self.order.time_limit?)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }
}

fn out_of_time() -> Error {
    Error::new(Code::TimedOut, "it was not done within its time, and was ended")
}

/// Failures of the remote that may be gone a moment later; what is wrong with the call, the key, the address or the
/// certificate stays wrong.
fn passes(error: &Error) -> bool {
    let may_pass = [
        Code::Unreachable,
        Code::TimedOut,
        Code::Nonsense,
        Code::Throttled,
        Code::RateUsed,
    ];
    may_pass.contains(&error.code) && !error.stays
}
