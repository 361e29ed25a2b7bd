//! Helper threads that carry out whatever they are given, while the worker's main thread stays interruptible.

use crate::job::pool::{guarded, off_main};
use crate::worker::latch::{self, Wakeable, Waker};
use std::sync::mpsc::{channel, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sync_engine::error::{Code, Error, Result};

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// Threads whose jobs all come to a `T`.
pub struct Crew<T> {
    work: Sender<Job<T>>,
    results: Receiver<T>,
    wakeable: Wakeable,
    waker: Waker,
    size: usize,
    busy: usize,
}

impl<T: Send + 'static> Crew<T> {
    pub fn start(size: usize) -> Result<Self> {
        let (wakeable, waker) = latch::pipe()?;
        let (work, jobs) = channel::<Job<T>>();
        let (done, results) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..size {
            let (jobs, done, waker) = (jobs.clone(), done.clone(), waker.clone());
            latch::spawn(&format!("sync_ext item {n}"), move || {
                work_off(&jobs, &done, &waker)
            })?;
        }
        Ok(Crew {
            work,
            results,
            wakeable,
            waker,
            size,
            busy: 0,
        })
    }

    /// Whether another job would be begun at once.
    pub fn is_free(&self) -> bool {
        self.busy < self.size
    }

    pub fn is_idle(&self) -> bool {
        self.busy == 0
    }

    /// Gives out a job. One that panics comes to what `panicked` makes of the error.
    pub fn submit<U: 'static>(
        &mut self,
        job: impl FnOnce() -> Result<U> + Send + 'static,
        finish: impl FnOnce(Result<U>) -> T + Send + 'static,
    ) -> Result<()> {
        self.busy += 1;
        self.work
            .send(Box::new(move || finish(guarded(job))))
            .map_err(|_| gone())
    }

    /// The next result; None when there is none by then.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<T>> {
        loop {
            match self.results.try_recv() {
                Ok(result) => {
                    self.busy -= 1;
                    return Ok(Some(result));
                }
                Err(TryRecvError::Disconnected) => return Err(gone()),
                Err(TryRecvError::Empty) => {}
            }
            let left = deadline.map_or(Duration::from_secs(10), |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Ok(None);
            }
            self.pause(left);
        }
    }

    /// Waits interruptibly, at most that long.
    pub fn pause(&self, timeout: Duration) {
        self.wakeable.wait(timeout);
    }

    /// Carries something out on a thread of its own, and waits for it interruptibly.
    pub fn ask<U: Send + 'static>(&self, body: impl FnOnce() -> Result<U> + Send + 'static) -> Result<U> {
        off_main(&self.wakeable, &self.waker, body)
    }
}

fn work_off<T>(jobs: &Mutex<Receiver<Job<T>>>, done: &Sender<T>, waker: &Waker) {
    loop {
        let next = match jobs.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok(job) = next else { return };
        if done.send(job()).is_err() {
            return;
        }
        waker.wake();
    }
}

fn gone() -> Error {
    Error::new(Code::Internal, "the helper threads are gone")
}
