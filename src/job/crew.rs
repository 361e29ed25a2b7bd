//! Helper threads that talk to remotes, while the worker's main thread stays interruptible.
//!
//! Work goes in by one channel, results come out by another, and a pipe wakes the main thread.

use crate::pg::latch::{self, Wakeable, Waker};
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
            latch::spawn(&format!("sync_ext helper {n}"), move || {
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

    /// How many more jobs would be begun at once.
    pub fn free(&self) -> usize {
        self.size.saturating_sub(self.busy)
    }

    /// How many are under way.
    pub fn busy(&self) -> usize {
        self.busy
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn is_idle(&self) -> bool {
        self.busy == 0
    }

    /// Gives out a job. One that panics comes to what `finish` makes of the error.
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

    /// A result that is there already.
    pub fn ready(&mut self) -> Result<Option<T>> {
        match self.results.try_recv() {
            Ok(result) => {
                self.busy -= 1;
                Ok(Some(result))
            }
            Err(TryRecvError::Disconnected) => Err(gone()),
            Err(TryRecvError::Empty) => Ok(None),
        }
    }

    /// The next result, waited for interruptibly; None when there is none by then.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<T>> {
        loop {
            if let Some(result) = self.ready()? {
                return Ok(Some(result));
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
        let (send, receive) = channel();
        let waker = self.waker.clone();
        latch::spawn("sync_ext ask", move || {
            // a receiver that is gone has been interrupted: nobody wants the answer
            let _ = send.send(guarded(body));
            waker.wake();
        })?;
        loop {
            match receive.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Disconnected) => return Err(gone()),
                Err(TryRecvError::Empty) => self.pause(Duration::from_secs(10)),
            }
        }
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

/// A panic of a helper thread must come back as an error, or the main thread would wait for ever.
fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "a helper thread panicked")))
}

fn gone() -> Error {
    Error::new(Code::Internal, "the helper threads are gone")
}
