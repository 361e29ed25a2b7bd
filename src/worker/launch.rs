//! The caller's side: start a worker, wait for it in an interruptible way, take its reply.

use super::mailbox::Mailbox;
use super::{Job, Reply, Request};
use crate::settings::Settings;
use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::prelude::*;
use pgrx::PgMemoryContexts;
use serde_json::Value;
use std::cell::Cell;
use sync_engine::error::{Code, Error, Result};

thread_local! {
    /// The worker this backend is waiting for, for `end_worker_at_exit`. A backend waits for one at a time.
    static AWAITED: Cell<*mut pg_sys::BackgroundWorkerHandle> = const { Cell::new(std::ptr::null_mut()) };
    static EXIT_HOOK_SET: Cell<bool> = const { Cell::new(false) };
}

/// Carries out `job` in a background worker and returns its result. Waits interruptibly: cancel, timeout and
/// termination end the worker too.
pub fn run(sync_type: &str, job: Job) -> Result<Value> {
    refuse_old_snapshots()?;
    let request = Request {
        sync_id: new_id(),
        org: organisation()?,
        role: caller().to_u32(),
        user_id: setting(c"app.current_user_id"),
        sync_type: sync_type.to_owned(),
        settings: Settings::current(),
        job,
    };
    let bytes = serde_json::to_vec(&request).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    let mailbox = Mailbox::create(&bytes)?;
    let worker = Worker::start(mailbox.handle())?;
    worker.wait();
    drop(worker);
    match serde_json::from_slice(&mailbox.reply()) {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Failed(error)) => Err(error),
        Err(_) => Err(
            Error::new(Code::Internal, "the background worker ended before it was done")
                .detail("It was terminated, or it failed in a way that only the server log tells.")
                .hint("The next call goes on from the last checkpoint."),
        ),
    }
}

/// What a worker commits is invisible to a transaction that keeps its first snapshot.
fn refuse_old_snapshots() -> Result<()> {
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

/// The role that the session acts as (SET ROLE included, SECURITY DEFINER functions not).
pub fn caller() -> pg_sys::Oid {
    // SAFETY: reads a backend-local variable.
    unsafe { pg_sys::GetOuterUserId() }
}

/// The organisation as the session sets it, in canonical spelling (credentials are bound to it); whether it is
/// granted is another question.
pub fn organisation() -> Result<String> {
    const HINT: &str = "SET app.current_org_id to the id of your organisation.";
    let text = setting(c"app.current_org_id")
        .ok_or_else(|| Error::new(Code::NoOrganisation, "no organisation is set").hint(HINT))?;
    let id = uuid::Uuid::parse_str(text.trim())
        .map_err(|_| Error::new(Code::Invalid, "app.current_org_id is not a uuid").hint(HINT))?;
    Ok(id.to_string())
}

fn setting(name: &std::ffi::CStr) -> Option<String> {
    // SAFETY: missing_ok; the returned string lives until the setting changes, and is copied at once.
    let value = unsafe {
        let raw = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if raw.is_null() {
            return None;
        }
        std::ffi::CStr::from_ptr(raw).to_string_lossy().into_owned()
    };
    Some(value).filter(|v| !v.is_empty())
}

/// A random (version 4) uuid as text.
fn new_id() -> String {
    // SAFETY: gen_random_uuid takes no arguments and returns a palloc'd uuid.
    let uuid = unsafe { pgrx::direct_function_call::<pgrx::Uuid>(pg_sys::gen_random_uuid, &[]) };
    uuid.map(|u| u.to_string()).unwrap_or_default()
}

/// A started worker. Ends it when dropped early: on ERROR (cancel, timeout) by unwinding, on FATAL
/// (pg_terminate_backend), which doesn't unwind, by `before_shmem_exit`.
struct Worker(*mut pg_sys::BackgroundWorkerHandle);

impl Worker {
    fn start(mailbox: u32) -> Result<Self> {
        // SAFETY: reads backend-local variables.
        let (database, me) = unsafe { (pg_sys::MyDatabaseId, pg_sys::MyProcPid) };
        let builder = BackgroundWorkerBuilder::new("sync_ext worker")
            .set_type("sync_ext worker")
            .set_library("sync_ext")
            .set_function("sync_ext_worker_main")
            .enable_spi_access()
            .set_restart_time(None)
            .set_argument(Some(pg_sys::Datum::from(mailbox)))
            .set_extra(&database.to_u32().to_string())
            .set_notify_pid(me);
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle must outlive the current memory context (it is freed in Drop).
        let registered = unsafe {
            let mut worker: pg_sys::BackgroundWorker = (&builder).into();
            PgMemoryContexts::TopMemoryContext
                .switch_to(|_| pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle))
        };
        if !registered {
            return Err(Error::new(Code::LocalLimit, "no background worker slot is free")
                .hint("Try again when another run has ended, or raise max_worker_processes."));
        }
        hook_exit();
        AWAITED.set(handle);
        Ok(Worker(handle))
    }

    fn wait(&self) {
        // SAFETY: self.0 is a live handle; the call checks interrupts and may raise, which unwinds through Drop.
        unsafe { pg_sys::WaitForBackgroundWorkerShutdown(self.0) };
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        AWAITED.set(std::ptr::null_mut());
        // SAFETY: a live handle of ours; terminating one that has ended is harmless.
        unsafe {
            pg_sys::TerminateBackgroundWorker(self.0);
            pg_sys::pfree(self.0.cast());
        }
    }
}

fn hook_exit() {
    if !EXIT_HOOK_SET.replace(true) {
        // SAFETY: registers a function that stays loaded as long as the process lives.
        unsafe { pg_sys::before_shmem_exit(Some(end_worker_at_exit), pg_sys::Datum::from(0)) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_worker_at_exit(_code: libc::c_int, _arg: pg_sys::Datum) {
    let handle = AWAITED.replace(std::ptr::null_mut());
    if !handle.is_null() {
        // SAFETY: AWAITED holds only handles that Worker keeps alive.
        unsafe { pg_sys::TerminateBackgroundWorker(handle) };
    }
}
