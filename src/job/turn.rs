//! Whose turn it is: one run at a time works on a connector's entity type, and one on an organisation's sync list.

use super::places;
use crate::pg::lock::Lock;
use crate::request::Request;
use crate::store::run as runs;
use crate::store::transaction::{short, waiting};
use sync_engine::error::{Code, Error, Result};

/// What asking for the turn came to.
pub enum Turn {
    /// It is ours until this process ends. Who had to wait for it has the run's places already.
    Ours { has_places: bool },
    /// Somebody else has this lock, and the caller does the waiting.
    Behind(i64),
}

/// Takes the lock of a run. Whoever finds it taken for the first time waits outside, which costs no worker. Whoever was
/// overtaken there as well queues up, or others could go first for ever; but only in a place among the workers.
pub fn take(request: &Request, lock: &str) -> Result<Turn> {
    let Some(number) = short(|| lock_or_number(lock, request.caller))? else {
        return Ok(Turn::Ours { has_places: false });
    };
    if !request.was_behind {
        return Ok(Turn::Behind(number));
    }
    match places::take(&request.settings, &request.org) {
        Ok(()) => {}
        Err(error) if error.code == Code::LocalLimit => return Ok(Turn::Behind(number)),
        Err(error) => return Err(error),
    }
    waiting(|| {
        Lock::named(lock).keep();
        Ok(())
    })?;
    Ok(Turn::Ours { has_places: true })
}

/// Takes the lock if nobody has it: None then, else its number. It spans the run's transactions and ends with the process. The
/// caller, who waits for this process or for that lock, must not have it.
pub fn lock_or_number(name: &str, caller: i32) -> Result<Option<i64>> {
    let lock = Lock::named(name);
    if lock.try_keep() {
        return Ok(None);
    }
    if runs::is_held_by(lock, caller)? {
        return Err(Error::new(
            Code::Locked,
            "the calling transaction keeps these records to itself until it ends",
        )
        .hint("Commit it first: it has bound, mapped or repaired what this call is to work on."));
    }
    Ok(Some(lock.number()))
}
