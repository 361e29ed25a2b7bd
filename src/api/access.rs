//! Who is calling, and who is at work.

use crate::worker;
use pgrx::prelude::*;

/// The role the session acts as: SET ROLE counts, SECURITY DEFINER functions around the call don't.
#[pg_extern(stable, parallel_safe)]
fn sync_caller() -> pg_sys::Oid {
    worker::caller()
}

/// Whether a server process with that pid exists.
#[pg_extern(stable)]
fn sync_worker_alive(pid: i32) -> bool {
    worker::alive(pid)
}
