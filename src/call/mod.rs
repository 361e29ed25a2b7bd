//! A call: a job asked of workers, and how it stands to other calls and runs. How a worker is started and waited for is in
//! `launch`, several workers of one call in `together`, whose turn it is in `turn`.
//!
//! No worker waits for another run without a place among the workers: it answers whom it is behind, and the caller waits,
//! which takes no process. Callers who ask for the same go one after the other from the beginning.

mod launch;
mod together;
mod turn;

pub use together::{run_orders, run_together, Finished, Order, Orders};

use crate::pg::lock::Lock;
use crate::pg::session::{caller, organisation, pause, refuse_old_snapshots, refuse_read_only};
use crate::request::{Answer, Job, ListMode};
use launch::Running;
use serde_json::Value;
use std::time::{Duration, Instant};
use sync_engine::core::Backoff;
use sync_engine::error::{Code, Error, Result};
use turn::Turn;

/// Longest name of a connector, in characters.
pub const LONGEST_NAME: usize = 100;
/// First and longest wait for a place among the workers.
pub const PLACE: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// And for a turn, where a lock can't be waited for: looking again costs next to nothing.
pub const TURN: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(250));

/// A job for an organisation.
pub struct Call {
    pub org: String,
    pub sync_type: String,
    pub job: Job,
    asked_at: chrono::DateTime<chrono::Utc>,
    has_waited: bool,
    /// The lock that a worker found taken.
    behind: Option<i64>,
}

/// A worker at work, in the turn of its caller.
pub struct Begun {
    // in this order: whoever is next begins when this worker was told to end
    running: Running,
    turn: Turn,
}

/// Carries out `job` in a background worker and returns its result. Waits interruptibly: cancel, timeout and
/// termination end the worker too.
pub fn run(sync_type: &str, job: Job) -> Result<Value> {
    run_for(organisation()?, sync_type, job)
}

/// The same for an organisation that need not be the session's: whether it is granted, the worker looks up.
pub fn run_for(org: String, sync_type: &str, job: Job) -> Result<Value> {
    let mut call = Call::new(org, sync_type, job)?;
    let mut turn = match call.try_take_turn() {
        Some(turn) => turn,
        None => Turn::wait(call.turn_name().as_deref()),
    };
    loop {
        let begun = call.begin(turn)?;
        begun.running.wait();
        match begun.running.answer()? {
            Answer::Done(value) => return Ok(value),
            Answer::Behind(lock) => {
                call.is_behind(lock);
                Lock::numbered(lock).wait_until_free();
            }
        }
        turn = begun.turn;
    }
}

/// The same for who has better things to do than to wait for others: waits for them, and for a place among the workers, at
/// most that long where a time is given. 53400 when it is over.
pub fn run_patiently(sync_type: &str, job: Job, patience: Option<Duration>) -> Result<Value> {
    let begun = Instant::now();
    let mut call = Call::new(organisation()?, sync_type, job)?;
    let mut tries = 0;
    loop {
        let (refusal, wait) = match call.attempt() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => (overtaken(), TURN),
            Err(error) if error.code == Code::LocalLimit => (error, PLACE),
            Err(error) => return Err(error),
        };
        if patience.is_some_and(|patience| begun.elapsed() >= patience) {
            return Err(refusal);
        }
        pause(wait.ceiling(tries));
        tries += 1;
    }
}

fn overtaken() -> Error {
    Error::new(Code::LocalLimit, "other runs are at the same records").hint("Try again when they have ended.")
}

impl Call {
    pub fn new(org: String, sync_type: &str, job: Job) -> Result<Self> {
        refuse_read_only()?;
        if sync_type.chars().count() > LONGEST_NAME {
            return Err(Error::new(Code::NotFound, "no connector has a name that long")
                .detail(format!("Names have up to {LONGEST_NAME} characters."))
                .hint("SELECT sync_type FROM sync_connectors lists them."));
        }
        refuse_old_snapshots()?;
        Ok(Call {
            org,
            sync_type: sync_type.to_owned(),
            job,
            asked_at: chrono::Utc::now(),
            has_waited: false,
            behind: None,
        })
    }

    /// When it was asked, once others had to be waited for: what they have found since is an answer to this call as well.
    pub fn waited_since(&self) -> Option<String> {
        self.has_waited.then(|| self.asked_at.to_rfc3339())
    }

    pub fn was_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Begins, unless others are in the way.
    pub fn try_begin(&mut self) -> Result<Option<Begun>> {
        if self.behind.is_some_and(|lock| !Lock::numbered(lock).is_free()) {
            return Ok(None);
        }
        match self.try_take_turn() {
            Some(turn) => self.begin(turn).map(Some),
            None => Ok(None),
        }
    }

    /// A worker has found this lock taken.
    pub fn is_behind(&mut self, lock: i64) {
        self.behind = Some(lock);
        self.has_waited = true;
    }

    /// Carries it out, unless others are in the way.
    fn attempt(&mut self) -> Result<Option<Value>> {
        let Some(begun) = self.try_begin()? else {
            return Ok(None);
        };
        begun.running.wait();
        match begun.answer()? {
            Answer::Done(value) => Ok(Some(value)),
            Answer::Behind(lock) => {
                self.is_behind(lock);
                Ok(None)
            }
        }
    }

    fn begin(&self, turn: Turn) -> Result<Begun> {
        Ok(Begun {
            running: Running::start(self)?,
            turn,
        })
    }

    fn try_take_turn(&mut self) -> Option<Turn> {
        let turn = Turn::try_take(self.turn_name().as_deref());
        self.has_waited |= turn.is_none();
        turn
    }

    /// Who has the same name is after the same lock. Roles are kept apart, so that nobody waits without a right for those
    /// who have it; which record a webhook is about, only its worker reads.
    fn turn_name(&self) -> Option<String> {
        let what = match &self.job {
            Job::Entities | Job::Undo { .. } | Job::Due { .. } | Job::Maintain | Job::Webhook { .. } => {
                return None
            }
            Job::List(list) if list.mode == ListMode::Scheduled => return None,
            Job::List(_) => "lists",
            Job::Probe => "probe",
            Job::Pull { entity, .. } | Job::Preview { entity } | Job::Apply { entity, .. } => entity.name(),
        };
        let (org, sync_type, role) = (&self.org, &self.sync_type, caller().to_u32());
        Some(format!("sync_ext:turn:{org}:{role}:{what}:{sync_type}"))
    }
}

impl Begun {
    /// Whether the worker has ended.
    pub fn is_over(&self) -> bool {
        self.running.is_over()
    }

    /// Tells the worker that its time is over.
    pub fn end_late(self) {
        self.running.end_late();
    }

    /// What it answered, once it has ended.
    pub fn answer(self) -> Result<Answer> {
        self.running.answer()
    }
}
