//! Whose turn it is: waiting for others in the caller's own backend, where it takes no worker.

use crate::pg::lock::{Guard, Lock};
use crate::pg::session::is_worker;

/// A caller's turn among those who ask for the same; passed on when dropped, first come, first served.
#[must_use]
pub struct Turn {
    _held: Option<Guard>,
}

impl Turn {
    /// Waits for the turn.
    pub fn wait(name: Option<&str>) -> Self {
        Turn {
            _held: name.and_then(lock).map(Lock::guard),
        }
    }

    /// The turn, if nobody else has it or waits for it. Without a name there is nobody to wait for.
    pub fn try_take(name: Option<&str>) -> Option<Self> {
        let held = match name.and_then(lock) {
            Some(lock) => Some(lock.try_guard()?),
            None => None,
        };
        Some(Turn { _held: held })
    }
}

/// What a trigger of the app calls from a worker can't wait for its own caller.
fn lock(name: &str) -> Option<Lock> {
    (!is_worker()).then(|| Lock::named(name))
}
