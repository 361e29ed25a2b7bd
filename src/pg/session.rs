//! What a session is: who calls, for which organisation, in what transaction; and how it waits.

use super::identity::{Acting, ORG_NAME};
use pgrx::prelude::*;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};
use uuid::Uuid;

/// Where an organisation is missing or misspelt.
const SET_ORG: &str = "SET app.current_org_id to the id of your organisation.";

static IS_WORKER: AtomicBool = AtomicBool::new(false);

/// Called once, where a worker begins.
pub fn this_is_a_worker() {
    IS_WORKER.store(true, Ordering::Relaxed);
}

/// Whether this process is a worker, which is called from by code of the app alone.
pub fn is_worker() -> bool {
    IS_WORKER.load(Ordering::Relaxed)
}

/// The calling role: that of the session (SET ROLE included, SECURITY DEFINER functions not); while code of a bound relation
/// runs, who bound it; else in a worker, who called for it.
pub fn caller() -> pg_sys::Oid {
    // SAFETY: reads a backend-local variable.
    Acting::now().map_or_else(|| unsafe { pg_sys::GetOuterUserId() }, |acting| acting.role)
}

/// The organisation as the session sets it, in canonical spelling (credentials are bound to it); whether it is
/// granted is another question.
pub fn organisation() -> Result<String> {
    let id = set_organisation()?
        .ok_or_else(|| Error::new(Code::NoOrganisation, "no organisation is set").hint(SET_ORG))?;
    Ok(id.to_string())
}

/// The same; None when there is none. Neither in a worker nor while code of a bound relation runs does it matter what is set.
pub fn set_organisation() -> Result<Option<Uuid>> {
    if let Some(acting) = Acting::now() {
        return Ok(acting.org);
    }
    let Some(text) = setting(ORG_NAME) else {
        return Ok(None);
    };
    Uuid::parse_str(text.trim())
        .map(Some)
        .map_err(|_| Error::new(Code::Invalid, "app.current_org_id is not a uuid").hint(SET_ORG))
}

/// A setting of the session; None where it is empty or unknown.
pub fn setting(name: &CStr) -> Option<String> {
    // SAFETY: missing_ok; the returned string lives until the setting changes, and is copied at once.
    let value = unsafe {
        let raw = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if raw.is_null() {
            return None;
        }
        CStr::from_ptr(raw).to_string_lossy().into_owned()
    };
    Some(value).filter(|v| !v.is_empty())
}

/// Waits interruptibly until a worker starts or ends, at most that long.
pub fn pause(timeout: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: main thread of a backend; MyLatch is its own.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            timeout.as_millis().min(60_000) as libc::c_long,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

/// Refuses in a transaction that may not write, and so on every standby: a worker would write for it all the same, and one
/// that is registered on a standby begins when that is promoted.
pub fn refuse_read_only() -> Result<()> {
    // SAFETY: both read what the backend knows of itself.
    let (is_read_only, is_standby) = unsafe { (pg_sys::XactReadOnly, pg_sys::RecoveryInProgress()) };
    let refusal = |what: &str, hint: &str| {
        let message = format!("this function writes, and {what} is read-only");
        Err(Error::new(Code::ReadOnly, message).hint(hint))
    };
    match (is_standby, is_read_only) {
        (true, _) => refusal("a standby", "Call it on the primary server."),
        (false, true) => refusal(
            "the transaction",
            "BEGIN READ WRITE, or SET default_transaction_read_only TO off, and call it again.",
        ),
        (false, false) => Ok(()),
    }
}

/// What a worker commits is invisible to a transaction that keeps its first snapshot.
pub fn refuse_old_snapshots() -> Result<()> {
    // SAFETY: reads a backend-local variable.
    if unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as i32 {
        return Err(Error::new(
            Code::WrongTransaction,
            "this function can't run in a REPEATABLE READ or SERIALIZABLE transaction",
        )
        .hint("A background worker does the work and commits it; call the function in READ COMMITTED."));
    }
    Ok(())
}
