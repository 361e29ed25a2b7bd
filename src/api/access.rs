//! Who is calling, and what is held against others.

use crate::pg::lock::Lock;
use crate::pg::report::raise;
use crate::pg::session;
use pgrx::prelude::*;

/// The role the session acts as: SET ROLE counts, SECURITY DEFINER functions around the call don't. While code of a bound
/// relation runs, the role that bound it.
#[pg_extern(stable, parallel_restricted)]
fn sync_caller() -> pg_sys::Oid {
    session::caller()
}

/// `sync_require_writable()`: raises 25006 where nothing can be written.
#[pg_extern(stable)]
fn sync_require_writable() {
    session::refuse_read_only().unwrap_or_else(|e| raise(e));
}

/// The organisation that the session sets, unchecked; while code of a bound relation runs, the one it runs for. Here because
/// every call and every policy asks, and casting in plpgsql with an error of our own takes a subtransaction.
#[pg_extern(stable, parallel_restricted)]
fn sync_raw_org() -> Option<pgrx::Uuid> {
    let org = session::set_organisation().unwrap_or_else(|e| raise(e));
    org.map(|id| pgrx::Uuid::from_bytes(*id.as_bytes()))
}

/// `sync_try_hold(name) → boolean`: takes a lock of the extension until the transaction ends, if nobody has it.
#[pg_extern(volatile, strict)]
fn sync_try_hold(name: &str) -> bool {
    Lock::named(name).try_hold()
}

/// `sync_hold(name)`: waits for it, as long as `lock_timeout` allows.
#[pg_extern(volatile, strict)]
fn sync_hold(name: &str) {
    Lock::named(name).hold();
}
