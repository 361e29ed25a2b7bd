//! Who is calling.

use crate::worker;
use pgrx::prelude::*;

/// The role the session acts as: SET ROLE counts, SECURITY DEFINER functions around the call don't.
#[pg_extern(stable, parallel_safe)]
fn sync_caller() -> pg_sys::Oid {
    worker::caller()
}
