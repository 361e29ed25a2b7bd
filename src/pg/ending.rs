//! How a call tells its worker that nobody waits any more, and why: the worker then ends what it does, and notes how the run
//! ended. Ended by a signal alone, it could note nothing.

use super::mailbox::Mailbox;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::rc::Rc;
use sync_engine::error::{Code, Error, Result};

/// Why nobody waits any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Cancelled,
    /// The time that the call had is over.
    TimedOut,
}

impl Cause {
    /// As it stands in shared memory, where 0 is that somebody waits.
    pub const fn number(self) -> u32 {
        match self {
            Cause::Cancelled => 1,
            Cause::TimedOut => 2,
        }
    }

    pub const fn numbered(number: u32) -> Option<Self> {
        match number {
            0 => None,
            2 => Some(Cause::TimedOut),
            _ => Some(Cause::Cancelled),
        }
    }

    /// Why the statement under way ends early: the time it has had tells, as its error is not known where it unwinds.
    pub fn of_this_statement() -> Self {
        // SAFETY: reads what the backend knows of itself.
        let (limit, had) = unsafe {
            (
                i64::from(pg_sys::StatementTimeout),
                pg_sys::GetCurrentTimestamp() - pg_sys::GetCurrentStatementStartTimestamp(),
            )
        };
        match limit > 0 && had >= limit * 1000 {
            true => Cause::TimedOut,
            false => Cause::Cancelled,
        }
    }
}

thread_local! {
    /// The worker's.
    static MAILBOX: RefCell<Option<Rc<Mailbox>>> = const { RefCell::new(None) };
}

/// Begins to look there; in a worker.
pub fn watch(mailbox: Rc<Mailbox>) {
    MAILBOX.set(Some(mailbox));
}

/// Whether nobody waits for this worker any more.
pub fn told() -> Option<Cause> {
    MAILBOX.with_borrow(|mailbox| mailbox.as_ref().and_then(|mailbox| mailbox.given_up()))
}

/// Fails once nobody waits any more: a job that has got over the first interruption ends with its next transaction.
pub fn check() -> Result<()> {
    match told() {
        None => Ok(()),
        Some(_) => Err(Error::new(Code::Cancelled, "nobody waits for this run any more")),
    }
}
