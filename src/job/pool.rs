//! Helper threads that talk to the remote, while the worker's main thread stays interruptible.
//!
//! Work goes in by one channel, results come out by another, and a pipe wakes the main thread. The main thread
//! never has more under way than there are threads, and as much again in hand: so memory stays flat however much
//! there is to read.

use crate::store::ledger::{Row, Shape};
use crate::worker::latch::{self, Wakeable, Waker};
use std::sync::mpsc::{channel, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};
use sync_engine::source::{Batch, Source, Task};

type Shared = Arc<dyn Source>;

/// What a task brought, ready to be written: everything that needs no database is done on the fetching thread.
pub struct Fetched {
    pub rows: Vec<Row>,
    /// The rest; its records are in `rows`.
    pub batch: Batch,
}

impl Fetched {
    pub fn new(shape: &Shape, mut batch: Batch) -> Result<Self> {
        let records = std::mem::take(&mut batch.records);
        let rows = records
            .into_iter()
            .map(|record| Row::new(shape, record))
            .collect::<Result<_>>()?;
        Ok(Fetched { rows, batch })
    }
}

/// Threads with a source.
pub struct Pool {
    source: Shared,
    work: Sender<(Arc<Shape>, Task)>,
    results: Receiver<(Task, Result<Fetched>)>,
    wakeable: Wakeable,
    waker: Waker,
    size: usize,
    busy: usize,
}

impl Pool {
    /// Opens the source on a helper thread, then starts `size` threads that share it.
    pub fn start(
        size: usize,
        open: impl FnOnce() -> Result<Box<dyn Source>> + Send + 'static,
    ) -> Result<Self> {
        let (wakeable, waker) = latch::pipe()?;
        let source: Shared = off_main(&wakeable, &waker, open)?.into();
        let (work, tasks) = channel();
        let (done, results) = channel();
        let tasks = Arc::new(Mutex::new(tasks));
        for n in 0..size {
            let (source, tasks, done, waker) = (source.clone(), tasks.clone(), done.clone(), waker.clone());
            latch::spawn(&format!("sync_ext fetch {n}"), move || {
                fetch_all(&*source, &tasks, &done, &waker)
            })?;
        }
        Ok(Pool {
            source,
            work,
            results,
            wakeable,
            waker,
            size,
            busy: 0,
        })
    }

    /// Asks the source something on a helper thread, and waits interruptibly.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Source) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let source = self.source.clone();
        off_main(&self.wakeable, &self.waker, move || question(&*source))
    }

    /// What needs no network.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// How many more tasks may be handed out now.
    pub fn free(&self) -> usize {
        self.size.saturating_sub(self.busy)
    }

    pub fn is_idle(&self) -> bool {
        self.busy == 0
    }

    pub fn submit(&mut self, shape: &Arc<Shape>, task: Task) -> Result<()> {
        self.busy += 1;
        self.work.send((shape.clone(), task)).map_err(|_| gone())
    }

    /// The next result; waits for it interruptibly.
    pub fn next(&mut self) -> Result<(Task, Result<Fetched>)> {
        loop {
            match self.ready()? {
                Some(result) => return Ok(result),
                None => self.pause(Duration::from_secs(10)),
            }
        }
    }

    /// A result that is there already.
    pub fn ready(&mut self) -> Result<Option<(Task, Result<Fetched>)>> {
        match self.results.try_recv() {
            Ok(result) => {
                self.busy -= 1;
                Ok(Some(result))
            }
            Err(TryRecvError::Disconnected) => Err(gone()),
            Err(TryRecvError::Empty) => Ok(None),
        }
    }

    /// Waits interruptibly, at most that long.
    pub fn pause(&self, timeout: Duration) {
        self.wakeable.wait(timeout);
    }
}

fn fetch_all(
    source: &dyn Source,
    tasks: &Mutex<Receiver<(Arc<Shape>, Task)>>,
    done: &Sender<(Task, Result<Fetched>)>,
    waker: &Waker,
) {
    loop {
        let next = match tasks.lock() {
            Ok(tasks) => tasks.recv(),
            Err(_) => return,
        };
        let Ok((shape, task)) = next else { return };
        let fetched = guarded(|| Fetched::new(&shape, source.fetch(shape.comparison.entity(), &task)?));
        if done.send((task, fetched)).is_err() {
            return;
        }
        waker.wake();
    }
}

pub(super) fn off_main<T: Send + 'static>(
    wakeable: &Wakeable,
    waker: &Waker,
    body: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = channel();
    let waker = waker.clone();
    latch::spawn("sync_ext ask", move || {
        // a receiver that is gone has been interrupted: nobody wants the answer
        let _ = send.send(guarded(body));
        waker.wake();
    })?;
    loop {
        match receive.try_recv() {
            Ok(answer) => return answer,
            Err(TryRecvError::Disconnected) => return Err(gone()),
            Err(TryRecvError::Empty) => wakeable.wait(Duration::from_secs(10)),
        }
    }
}

/// A panic of a helper thread must come back as an error, or the main thread would wait for ever.
pub(super) fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "a fetching thread panicked")))
}

fn gone() -> Error {
    Error::new(Code::Internal, "the fetching threads are gone")
}
