//! Waiting for others in the caller's own backend, where it takes no worker: by locks of Postgres, so that cancel, timeouts
//! and termination end it, `pg_locks` shows it, and a deadlock is found.

use crate::report;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set in a worker. What a trigger of the app calls from there can't wait for its own caller.
static IS_WORKER: AtomicBool = AtomicBool::new(false);

pub fn this_is_a_worker() {
    IS_WORKER.store(true, Ordering::Relaxed);
}

/// A caller's turn among those who ask for the same; passed on when dropped, first come, first served.
#[must_use]
pub struct Turn(Option<pg_sys::LOCKTAG>);

impl Turn {
    /// Waits for the turn.
    pub fn wait(name: Option<&str>) -> Self {
        let tag = name.and_then(turn_tag);
        if let Some(tag) = tag.as_ref() {
            wait_for(tag, pg_sys::ExclusiveLock);
        }
        Turn(tag)
    }

    /// The turn, if nobody else has it or waits for it. Without a name there is nobody to wait for.
    pub fn try_take(name: Option<&str>) -> Option<Self> {
        let tag = name.and_then(turn_tag);
        let is_ours = tag
            .as_ref()
            .is_none_or(|tag| try_acquire(tag, pg_sys::ExclusiveLock));
        is_ours.then_some(Turn(tag))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // an error's transaction gives it back
        if let Some(tag) = self.0.take().filter(|_| !std::thread::panicking()) {
            release(&tag, pg_sys::ExclusiveLock);
        }
    }
}

/// Waits until nobody has the advisory lock of that number. Taken for a moment only, and shared: those who wait beside us
/// needn't wait for us as well.
pub fn wait_until_free(number: i64) {
    let tag = advisory(number);
    wait_for(&tag, pg_sys::ShareLock);
    release(&tag, pg_sys::ShareLock);
}

/// Whether nobody has that lock.
pub fn is_free(number: i64) -> bool {
    let tag = advisory(number);
    let is_free = try_acquire(&tag, pg_sys::ShareLock);
    if is_free {
        release(&tag, pg_sys::ShareLock);
    }
    is_free
}

/// Sessions with different builds of the extension would miss each other here: then the lock of the run alone decides.
fn turn_tag(name: &str) -> Option<pg_sys::LOCKTAG> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let number = i64::from_ne_bytes(hasher.finish().to_ne_bytes());
    (!IS_WORKER.load(Ordering::Relaxed)).then(|| advisory(number))
}

/// What `pg_advisory_lock(bigint)` locks.
fn advisory(number: i64) -> pg_sys::LOCKTAG {
    let number = u64::from_ne_bytes(number.to_ne_bytes());
    pg_sys::LOCKTAG {
        // SAFETY: reads a backend-local variable.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: (number >> 32) as u32,
        locktag_field3: number as u32,
        locktag_field4: 1,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// Takes a lock as long as it may take: the session's `lock_timeout` is meant for rows and tables, not for a pull. A deadlock
/// is one with what the calling transaction has locked itself, and told as that.
fn wait_for(tag: &pg_sys::LOCKTAG, mode: u32) {
    let deadlock = |caught: CaughtError| report::raise(report::caught(&caught));
    PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: on the main thread, in a transaction, which gives back lock and setting if this raises; the tag is copied.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                c"lock_timeout".as_ptr(),
                c"0".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            pg_sys::LockAcquire(tag, mode as i32, false, false);
            pg_sys::AtEOXact_GUC(true, level);
        }
    }))
    .catch_when(PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED, deadlock)
    .execute();
}

fn try_acquire(tag: &pg_sys::LOCKTAG, mode: u32) -> bool {
    // SAFETY: on the main thread, in a transaction; the tag is copied.
    let result = unsafe { pg_sys::LockAcquire(tag, mode as i32, false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn release(tag: &pg_sys::LOCKTAG, mode: u32) {
    // SAFETY: taken by this transaction, in this mode.
    unsafe { pg_sys::LockRelease(tag, mode as i32, false) };
}
