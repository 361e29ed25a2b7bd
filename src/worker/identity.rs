//! Another role's rights for a moment: what reads and writes the app's own relations runs as the role that bound them.

use super::raised;
use pgrx::datum::{AnyArray, DatumWithOid};
use pgrx::prelude::*;

/// Runs `body` with the rights of `role`. Views and policies of that role may call anything; so this is done as
/// Postgres itself does it for materialized views: nothing can be left behind that would run later with the rights of
/// whoever called (deferred triggers, open cursors, temporary tables are refused), and settings changed meanwhile are
/// set back.
pub fn as_role<T>(role: pg_sys::Oid, body: impl FnOnce() -> T) -> T {
    switched(role, pg_sys::SECURITY_RESTRICTED_OPERATION, body)
}

/// The same for writing, where constraints may be deferred and triggers need what they need. What `body` leaves behind
/// must be settled by the same role, with [`as_role`].
pub fn writing_as<T>(role: pg_sys::Oid, body: impl FnOnce() -> T) -> T {
    switched(role, 0, body)
}

/// An error leaves by unwinding. The end of its (sub)transaction then restores role and settings.
fn switched<T>(role: pg_sys::Oid, restriction: u32, body: impl FnOnce() -> T) -> T {
    let _noted = raised::attend();
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: called from SQL, so in a transaction and on the main thread; the variables outlive the call.
    let level = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let more = (pg_sys::SECURITY_LOCAL_USERID_CHANGE | restriction) as i32;
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::SetUserIdAndSecContext(role, context | more);
        level
    };
    let value = body();
    // SAFETY: what was saved above, on the same level of nesting.
    unsafe {
        pg_sys::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(user, context);
    }
    value
}

/// An array as it was given, to be passed on without being taken apart: records of jsonb would be parsed and printed.
pub fn given<'a>(array: Option<AnyArray>, element: pg_sys::Oid) -> DatumWithOid<'a> {
    match array {
        Some(array) => {
            let oid = array.oid();
            // SAFETY: the type is that of the array itself, which lives as long as the call it was given to.
            unsafe { DatumWithOid::new(array, oid) }
        }
        None => DatumWithOid::null_oid(element),
    }
}

/// Lets the activity of this session (`pg_stat_activity.query`) say this, until its next statement.
pub fn show_as(statement: &std::ffi::CStr) {
    // SAFETY: called from SQL, on the main thread; the text is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr()) }
}
