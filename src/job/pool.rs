//! A crew that shares one source. It never has more under way than there are threads: so memory stays flat however
//! much there is to read.

use super::crew::Crew;
use crate::store::ledger::{Row, Shape};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sync_engine::error::Result;
use sync_engine::source::{Batch, Source, Task};

/// What a task brought, ready to be written: everything that needs no database is done on the fetching thread.
pub struct Fetched {
    pub rows: Vec<Row>,
    /// The rest; its records are in `rows`.
    pub batch: Batch,
}

impl Fetched {
    pub fn new(shape: &Shape, mut batch: Batch) -> Result<Self> {
        batch.set_deep_aside();
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
    source: Arc<dyn Source>,
    crew: Crew<(Task, Result<Fetched>)>,
}

impl Pool {
    /// Starts `size` threads that share the source which is opened on another.
    pub fn start(
        size: usize,
        open: impl FnOnce() -> Result<Box<dyn Source>> + Send + 'static,
    ) -> Result<Self> {
        let crew = Crew::start(size)?;
        let source = crew.ask(open)?.into();
        Ok(Pool { source, crew })
    }

    /// Asks the source something on a helper thread, and waits interruptibly.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Source) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let source = self.source.clone();
        self.crew.ask(move || question(&*source))
    }

    /// What needs no network.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Whether as many tasks are under way as there are threads, or as `width`.
    pub fn is_full(&self, width: usize) -> bool {
        self.crew.busy() >= width.min(self.crew.size())
    }

    pub fn size(&self) -> usize {
        self.crew.size()
    }

    pub fn is_idle(&self) -> bool {
        self.crew.is_idle()
    }

    pub fn submit(&mut self, shape: &Arc<Shape>, task: Task) -> Result<()> {
        let (source, shape, asked) = (self.source.clone(), shape.clone(), task.clone());
        self.crew.submit(
            move || Fetched::new(&shape, source.fetch(shape.comparison.entity(), &asked)?),
            move |fetched| (task, fetched),
        )
    }

    /// The next result, waited for interruptibly; None when there is none by then.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<(Task, Result<Fetched>)>> {
        self.crew.next(deadline)
    }

    /// A result that is there already.
    pub fn ready(&mut self) -> Result<Option<(Task, Result<Fetched>)>> {
        self.crew.ready()
    }

    /// Waits interruptibly, at most that long.
    pub fn pause(&self, timeout: Duration) {
        self.crew.pause(timeout);
    }
}
