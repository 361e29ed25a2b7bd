//! Locks of the extension, by name. They are Postgres' own, so that a crash frees them, `pg_locks` shows them, waits can be
//! cancelled and deadlocks are found; but in a room of the lock table that the functions for advisory locks don't reach: what
//! anybody could take or release by its number would keep nobody away.

use super::identity;
use super::report;
use md5::{Digest, Md5};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

/// The room: `objsubid` in `pg_locks`. Locks by `pg_advisory_lock` and the like have 1 or 2 there.
pub const ROOM: u16 = 29541;

const ALONE: i32 = pg_sys::ExclusiveLock as i32;
const SHARED: i32 = pg_sys::ShareLock as i32;
/// Keeps out who shares it, and nobody who has it in this way.
const BESIDE: i32 = pg_sys::RowExclusiveLock as i32;

thread_local! {
    /// What this worker holds until it ends, and how.
    static HELD: RefCell<Vec<(Lock, i32)>> = const { RefCell::new(Vec::new()) };
}

/// A lock, whoever has it.
#[derive(Debug, Clone, Copy)]
pub struct Lock(i64);

/// A lock that is held until this is dropped.
#[must_use]
pub struct Guard(Lock);

impl Lock {
    /// Nobody finds a name with the number of another one.
    pub fn named(name: &str) -> Self {
        let digest: [u8; 16] = Md5::digest(name.as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Lock(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    pub const fn numbered(number: i64) -> Self {
        Lock(number)
    }

    pub const fn number(self) -> i64 {
        self.0
    }

    /// Takes it until this worker ends, if nobody has it.
    pub fn try_keep(self) -> bool {
        let is_ours = self.acquire(ALONE, true, false);
        if is_ours {
            self.kept(ALONE);
        }
        is_ours
    }

    /// Takes it until this worker ends, behind those who came before.
    pub fn keep(self) {
        self.acquire(ALONE, true, true);
        self.kept(ALONE);
    }

    /// The same, beside others who do so.
    pub fn keep_shared(self) {
        self.acquire(SHARED, true, true);
        self.kept(SHARED);
    }

    fn kept(self, mode: i32) {
        HELD.with_borrow_mut(|held| held.push((self, mode)));
        self.acquire(mode, false, true);
    }

    /// Takes it until the transaction ends, if nobody has it. Code of a bound relation doesn't get what the run has that it is
    /// part of, as a lock never keeps a process from itself.
    pub fn try_hold(self) -> bool {
        let is_the_runs = identity::runs_code() && self.is_held_here();
        !is_the_runs && self.acquire(ALONE, false, false)
    }

    /// Takes it until the transaction ends, as long as `lock_timeout` allows.
    pub fn hold(self) {
        self.acquire(ALONE, false, true);
    }

    /// The same, beside others who share it.
    pub fn hold_shared(self) {
        self.acquire(SHARED, false, true);
    }

    /// The same, beside others who do so, and nobody who shares it.
    pub fn hold_beside_others(self) {
        self.acquire(BESIDE, false, true);
    }

    /// Takes it for a while, if nobody has it.
    pub fn try_guard(self) -> Option<Guard> {
        self.acquire(ALONE, false, false).then(|| Guard(self))
    }

    /// Takes it for a while, however long that takes.
    pub fn guard(self) -> Guard {
        patiently(|| self.hold());
        Guard(self)
    }

    /// Waits until nobody has it. Taken for a moment only, and shared: those who wait beside us needn't wait for us as well.
    pub fn wait_until_free(self) {
        patiently(|| {
            self.acquire(SHARED, false, true);
        });
        self.release(SHARED);
    }

    /// Whether nobody has it.
    pub fn is_free(self) -> bool {
        let is_free = self.acquire(SHARED, false, false);
        if is_free {
            self.release(SHARED);
        }
        is_free
    }

    /// False where it was not to be waited for, and somebody else has it.
    fn acquire(self, mode: i32, is_sessions: bool, waits: bool) -> bool {
        // SAFETY: on the main thread, in a transaction; the tag is copied.
        let result = unsafe { pg_sys::LockAcquire(&self.tag(), mode, is_sessions, !waits) };
        result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }

    fn release(self, mode: i32) {
        // SAFETY: taken by this transaction, in this mode.
        unsafe { pg_sys::LockRelease(&self.tag(), mode, false) };
    }

    fn is_held_here(self) -> bool {
        // SAFETY: looks at this process' own table of locks.
        unsafe {
            #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
            return pg_sys::LockHeldByMe(&self.tag(), ALONE);
            #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
            return pg_sys::LockHeldByMe(&self.tag(), ALONE, false);
        }
    }

    fn tag(self) -> pg_sys::LOCKTAG {
        let [high, low] = self.halves();
        pg_sys::LOCKTAG {
            // SAFETY: reads a backend-local variable.
            locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
            locktag_field2: high,
            locktag_field3: low,
            locktag_field4: ROOM,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }

    /// `classid` and `objid` in `pg_locks`.
    const fn halves(self) -> [u32; 2] {
        let number = u64::from_ne_bytes(self.0.to_ne_bytes());
        [(number >> 32) as u32, number as u32]
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // an error's transaction gives it back
        if !std::thread::panicking() {
            self.0.release(ALONE);
        }
    }
}

/// What this worker keeps belongs to its session, so that it spans transactions. Code of a bound relation can let go of that
/// (`pg_advisory_unlock_all`), but not of what belongs to a transaction: so each begins with this, ...
pub fn hold_in_transaction() {
    for_each_kept(|lock, mode| lock.acquire(mode, false, true));
}

/// ... and before it ends, the session takes back what it may have lost meanwhile. Nobody else can have come in between.
pub fn hold_on() {
    for_each_kept(|lock, mode| lock.acquire(mode, true, true));
}

fn for_each_kept(again: impl Fn(Lock, i32) -> bool) {
    HELD.with_borrow(|held| {
        for (lock, mode) in held {
            again(*lock, *mode);
        }
    });
}

/// The session's `lock_timeout` is meant for rows and tables, not for a pull. A deadlock is one with what the calling
/// transaction has locked itself, and told as that.
fn patiently(wait: impl FnOnce()) {
    let deadlock = |caught: CaughtError| report::raise(report::caught(&caught));
    PgTryBuilder::new(AssertUnwindSafe(|| {
        identity::with_setting(c"lock_timeout", c"0", wait)
    }))
    .catch_when(PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED, deadlock)
    .execute();
}
