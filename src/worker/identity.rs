//! Another role's rights for a moment: what reads the app's own relations runs as the role that bound them.

use pgrx::prelude::*;

/// Runs `body` with the rights of `role`. Views and policies of that role may call anything; so this is done as
/// Postgres itself does it for materialized views: nothing can be left behind that would run later with the rights of
/// whoever called (deferred triggers, open cursors, temporary tables are refused), and settings changed meanwhile are
/// set back.
///
/// An error leaves by unwinding. The end of its (sub)transaction then restores role and settings.
pub fn as_role<T>(role: pg_sys::Oid, body: impl FnOnce() -> T) -> T {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: called from SQL, so in a transaction and on the main thread; the variables outlive the call.
    let level = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::SetUserIdAndSecContext(role, context | restricted as i32);
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
