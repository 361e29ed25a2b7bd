//! Whose turn it is: one run at a time works on a connector's entity type, and one on an organisation's sync list.

use super::take_places;
use crate::store::run as runs;
use crate::worker::transaction::{short, waiting};
use crate::worker::Request;
use sync_engine::error::{Code, Result};

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
    let Some(number) = short(|| runs::lock_or_number(lock, request.caller))? else {
        return Ok(Turn::Ours { has_places: false });
    };
    if !request.was_behind {
        return Ok(Turn::Behind(number));
    }
    match short(|| take_places(&request.settings, &request.org)) {
        Ok(()) => {}
        Err(error) if error.code == Code::LocalLimit => return Ok(Turn::Behind(number)),
        Err(error) => return Err(error),
    }
    waiting(|| runs::lock(lock))?;
    Ok(Turn::Ours { has_places: true })
}
