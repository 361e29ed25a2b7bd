//! Who is calling, and as whom foreign code runs: what reads and writes the app's own relations runs as the role that
//! bound them, for the organisation that it is done for, and for nobody else.

use super::report::raise;
use super::{raised, session::caller};
use crate::settings::text;
use pgrx::datum::{AnyArray, DatumWithOid};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;
use std::ffi::{CStr, CString};
use sync_engine::error::{Code, Error};
use uuid::Uuid;

/// Role and organisation that count instead of the session's. It is a setting, as Postgres restores those together with the
/// role, whichever way a (sub)transaction ends; and one that no statement can set.
static ACTING: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
const ACTING_NAME: &CStr = c"sync_ext.acting";
const CODE: &str = "code";
pub(super) const ORG_NAME: &CStr = c"app.current_org_id";

/// Registers the setting; called once, from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        ACTING_NAME,
        c"Role and organisation that code of a bound relation runs for.",
        c"Set by the extension alone.",
        &ACTING,
        GucContext::Internal,
        GucFlags::NO_SHOW_ALL | GucFlags::NO_RESET_ALL | GucFlags::DISALLOW_IN_FILE,
    );
}

/// A role that acts for an organisation, or for none.
pub(super) struct Acting {
    /// Code of a bound relation, and not a worker for its caller.
    is_code: bool,
    pub role: pg_sys::Oid,
    pub org: Option<Uuid>,
}

impl Acting {
    pub fn now() -> Option<Self> {
        // settings of this kind don't reach parallel workers: there the session's role would count
        // SAFETY: reads a backend-local variable.
        if unsafe { pg_sys::ParallelWorkerNumber } >= 0 {
            raise(
                Error::new(Code::NotGranted, "a parallel worker can't tell who is calling")
                    .hint("A function that asks for it is marked PARALLEL SAFE, and isn't."),
            );
        }
        let text = text(&ACTING);
        let (what, whom) = text.split_once(' ')?;
        let (role, org) = whom.split_once(' ')?;
        Some(Acting {
            is_code: what == CODE,
            role: role.parse::<u32>().unwrap_or_default().into(),
            org: Uuid::parse_str(org).ok(),
        })
    }

    fn name(&self) -> CString {
        let org = self.org.map(|org| org.to_string()).unwrap_or_default();
        let what = if self.is_code { CODE } else { "call" };
        CString::new(format!("{what} {} {org}", self.role.to_u32())).unwrap_or_default()
    }

    fn org_name(&self) -> CString {
        let org = self.org.map(|org| org.to_string()).unwrap_or_default();
        CString::new(org).unwrap_or_default()
    }
}

/// Makes this worker's session that of its caller: `session_user` and [`caller`] are the role, and the organisation stays the
/// one it was called for. What the worker does itself, it does [`as_extension`]. Between two transactions.
pub fn speak_for(role: u32, is_superuser: bool, org: &str) {
    let acting = Acting {
        is_code: false,
        role: role.into(),
        org: Uuid::parse_str(org).ok(),
    };
    // SAFETY: on the main thread; a worker is connected as the bootstrap superuser, who may become anybody. The texts are copied.
    unsafe {
        pg_sys::SetSessionAuthorization(acting.role, is_superuser);
        pg_sys::SetConfigOption(
            ACTING_NAME.as_ptr(),
            acting.name().as_ptr(),
            pg_sys::GucContext::PGC_INTERNAL,
            pg_sys::GucSource::PGC_S_SESSION,
        );
        pg_sys::SetConfigOption(
            ORG_NAME.as_ptr(),
            acting.org_name().as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}

/// Whether a role is a superuser. In a transaction.
pub fn is_superuser(role: u32) -> bool {
    // SAFETY: reads the catalog.
    unsafe { pg_sys::superuser_arg(role.into()) }
}

/// Runs a worker's own statements, as a SECURITY DEFINER function would run them for its caller. Settings stay as they are left.
pub fn as_extension<T>(body: impl FnOnce() -> T) -> T {
    let (user, context) = switch(pg_sys::BOOTSTRAP_SUPERUSERID.into(), 0);
    let value = body();
    // SAFETY: what was saved above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    value
}

/// Runs `body` with the rights of `role`, for that organisation. Views and policies of that role may call anything; so this
/// is done as Postgres itself does it for materialized views: nothing can be left behind that would run later with the rights
/// of whoever called (deferred triggers, open cursors, temporary tables are refused), and settings changed meanwhile are
/// set back.
pub fn as_role<T>(role: pg_sys::Oid, org: pgrx::Uuid, body: impl FnOnce() -> T) -> T {
    let restricted = pg_sys::SECURITY_RESTRICTED_OPERATION;
    switched(role, restricted, Some(acting(role, org)), body)
}

/// The same for writing, where constraints may be deferred and triggers need what they need. What `body` leaves behind
/// must be settled by the same role, with [`as_role`].
pub fn writing_as<T>(role: pg_sys::Oid, org: pgrx::Uuid, body: impl FnOnce() -> T) -> T {
    switched(role, 0, Some(acting(role, org)), body)
}

/// Runs what the caller has left to be run, with the rights of the caller.
pub fn as_caller<T>(body: impl FnOnce() -> T) -> T {
    switched(caller(), pg_sys::SECURITY_RESTRICTED_OPERATION, None, body)
}

fn acting(role: pg_sys::Oid, org: pgrx::Uuid) -> Acting {
    let org = Some(Uuid::from_bytes(*org.as_bytes()));
    Acting {
        is_code: true,
        role,
        org,
    }
}

/// An error leaves by unwinding. The end of its (sub)transaction then restores role and settings.
fn switched<T>(role: pg_sys::Oid, restriction: u32, acting: Option<Acting>, body: impl FnOnce() -> T) -> T {
    let _noted = raised::attend();
    let (user, context) = switch(role, restriction);
    // SAFETY: in a transaction and on the main thread.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    if let Some(acting) = acting {
        assign(ACTING_NAME, &acting.name(), pg_sys::GucContext::PGC_INTERNAL);
        assign(ORG_NAME, &acting.org_name(), pg_sys::GucContext::PGC_USERSET);
    }
    let value = body();
    // SAFETY: what was saved above, on the same level of nesting.
    unsafe {
        pg_sys::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(user, context);
    }
    value
}

/// Takes on a role, in a context in which no statement can change it; what they were before.
fn switch(role: pg_sys::Oid, restriction: u32) -> (pg_sys::Oid, i32) {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: in a transaction and on the main thread; the variables outlive the call.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let more = (pg_sys::SECURITY_LOCAL_USERID_CHANGE | restriction) as i32;
        pg_sys::SetUserIdAndSecContext(role, context | more);
    }
    (user, context)
}

/// Whether code of a bound relation runs.
pub fn runs_code() -> bool {
    Acting::now().is_some_and(|acting| acting.is_code)
}

/// Runs `body` with another value of a setting that anybody may change.
pub fn with_setting<T>(name: &CStr, value: &CStr, body: impl FnOnce() -> T) -> T {
    // SAFETY: in a transaction and on the main thread.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    assign(name, value, pg_sys::GucContext::PGC_USERSET);
    let value = body();
    // SAFETY: the level that was begun above.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    value
}

/// Changes a setting until the current level of nesting ends.
fn assign(name: &CStr, value: &CStr, context: pg_sys::GucContext::Type) {
    // SAFETY: in a transaction and on the main thread; both texts are copied.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
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
pub fn show_as(statement: &CStr) {
    // SAFETY: called from SQL, on the main thread; the text is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr()) }
}
