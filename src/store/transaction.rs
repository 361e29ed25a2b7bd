//! Short transactions of a worker: a Postgres ERROR comes back as a value, after everything was rolled back.

use crate::pg::ending;
use crate::pg::identity::as_extension;
use crate::pg::report;
use crate::pg::{limit, lock};
use crate::store;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use sync_engine::error::{Code, Error, Result};

/// Of this library.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longest wait for a lock: one that the waiting caller holds itself is a deadlock Postgres can't see.
const PATIENT: &str = "SELECT set_config('lock_timeout', '5s', true)";
const RELAXED: &str =
    "SELECT set_config('lock_timeout', '5s', true), set_config('synchronous_commit', 'off', true)";

/// The same for writing what the app writes too. The app's statements lock their own rows first and the ledger's then, a
/// batch of ours the other way round: whoever gives up after half of the time in which Postgres finds a deadlock is
/// never the one to find it.
const YIELDING: &str = "SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout',
    greatest(1, extract(epoch FROM current_setting('deadlock_timeout')::interval) * 500)::int::text, true)";
/// For how long what gave way is tried again.
const LOCKS_END_WITHIN: Duration = Duration::from_secs(15);
/// Before it is: where a lock is refused at once (NOWAIT in a trigger of the app), trying again is all that would be done.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs `body` in a transaction of its own, with a lock timeout. An error, Rust's or Postgres', rolls back. Once nobody waits for
/// the run any more, nothing is run.
pub fn short<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    run(Some(PATIENT), body)
}

/// [`short`] for noting how a run ended, whoever waits.
pub fn closing<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    transact(Some(PATIENT), body)
}

/// [`short`], without waiting for the disk. A crash of the server may lose the last ones,
/// records and checkpoint together, and the next pull reads them again.
pub fn relaxed<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    run(Some(RELAXED), body)
}

/// [`relaxed`] for rows that the app writes too: gives way where it holds a lock, and tries again from the beginning.
pub fn yielding<T>(mut body: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match run(Some(YIELDING), &mut body) {
            Err(error) if error.code == Code::Locked && began.elapsed() < LOCKS_END_WITHIN => {
                std::thread::sleep(PAUSE)
            }
            done => return done,
        }
    }
}

/// Runs `body` as [`yielding`] does, in a transaction that is rolled back whatever comes of it.
pub fn rolled_back<T>(mut body: impl FnMut() -> Result<T>) -> Result<T> {
    let mut outcome = None;
    let undone: Result<()> = yielding(|| {
        outcome = Some(body()?);
        Err(Error::new(Code::Internal, "rolled back"))
    });
    outcome.map_or_else(|| Err(undone.err().unwrap_or_else(untried)), Ok)
}

fn untried() -> Error {
    Error::new(Code::Internal, "the trial did not run")
}

/// [`short`] without a lock timeout, for waiting on another run.
pub fn waiting<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    run(None, body)
}

fn run<T>(settings: Option<&str>, body: impl FnOnce() -> Result<T>) -> Result<T> {
    ending::check()?;
    transact(settings, body)
}

fn transact<T>(settings: Option<&str>, body: impl FnOnce() -> Result<T>) -> Result<T> {
    // BackgroundWorker::transaction commits whatever its closure returns: an error must leave it by raising.
    let mut failed = None;
    let outcome = guarded(|| {
        let own = || {
            lock::hold_in_transaction();
            if let Some(settings) = settings {
                store::set(settings).unwrap_or_else(|e| error!("{e}"));
            }
            match body() {
                Ok(value) => {
                    lock::hold_on();
                    value
                }
                Err(e) => {
                    failed = Some(e);
                    error!("rolled back")
                }
            }
        };
        Ok(BackgroundWorker::transaction(AssertUnwindSafe(|| {
            as_extension(own)
        })))
    });
    match failed {
        Some(error) => Err(error),
        None => outcome,
    }
}

/// Runs what a worker does between its transactions and in them: an error that Postgres raises meanwhile (a cancel, most of all)
/// comes back as a value.
pub fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(body))
        .catch_others(|caught| {
            lock::hold_on();
            // SAFETY: in the worker's main thread, outside any transaction block of a caller.
            unsafe { pg_sys::AbortCurrentTransaction() };
            Err(limit::told(report::caught(&caught)))
        })
        .execute()
}

/// Points the search path at the extension's schema. Fails when the extension was dropped meanwhile, and where the database
/// has another version of it than the library that the server has loaded.
pub fn use_extension_schema() -> Result<()> {
    short(|| match store::use_extension_schema()?.as_deref() {
        Some(VERSION) => Ok(()),
        Some(other) => Err(Error::new(
            Code::NotReady,
            format!("the database has sync_ext {other}, the server {VERSION}"),
        )
        .hint("ALTER EXTENSION sync_ext UPDATE, as a superuser.")),
        None => Err(
            Error::new(Code::NotFound, "the extension sync_ext is not there (any more)")
                .hint("If it was created in this transaction, commit first."),
        ),
    })
}
