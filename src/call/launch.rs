//! The caller's side: start a worker, wait for it in an interruptible way, take its answer.

use super::Call;
use crate::pg::ending::Cause;
use crate::pg::mailbox::Mailbox;
use crate::pg::session::{caller, setting};
use crate::request::{Answer, Reply, Request};
use crate::settings::Settings;
use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::prelude::*;
use pgrx::PgMemoryContexts;
use std::cell::Cell;
use std::rc::Rc;
use sync_engine::error::{Code, Error, Result, SqlState};

type Handle = *mut pg_sys::BackgroundWorkerHandle;

thread_local! {
    /// The workers this backend is waiting for, for `end_workers_at_exit`.
    static AWAITED: Cell<Vec<(Handle, Rc<Mailbox>)>> = const { Cell::new(Vec::new()) };
    static EXIT_HOOK_SET: Cell<bool> = const { Cell::new(false) };
}

/// A job under way in a worker of its own, which is told to end when this is dropped.
pub struct Running {
    worker: Worker,
    mailbox: Rc<Mailbox>,
    request_id: String,
}

impl Running {
    pub fn start(call: &Call) -> Result<Self> {
        let request = Request {
            sync_id: new_id(),
            org: call.org.clone(),
            role: caller().to_u32(),
            caller: my_pid(),
            user_id: setting(c"app.current_user_id"),
            sync_type: call.sync_type.clone(),
            settings: Settings::current(),
            waited_since: call.waited_since(),
            was_behind: call.was_behind(),
            job: call.job.clone(),
        };
        let bytes = serde_json::to_vec(&request).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let mailbox = Rc::new(Mailbox::create(&bytes)?);
        let worker = Worker::start(&mailbox)?;
        let request_id = request.sync_id;
        Ok(Running {
            worker,
            mailbox,
            request_id,
        })
    }

    /// Waits until the worker has ended.
    pub fn wait(&self) {
        self.worker.wait();
    }

    pub fn is_over(&self) -> bool {
        self.worker.is_over()
    }

    /// Tells it that its time is over.
    pub fn end_late(self) {
        self.worker.end(&self.mailbox, Cause::TimedOut);
    }

    /// What it answered, once it has ended. An error says by which id the log knows the run.
    pub fn answer(self) -> Result<Answer> {
        let reply: Result<Reply, _> = serde_json::from_slice(&self.mailbox.reply());
        let answer = reply.unwrap_or_else(|_| {
            Err(Error::new(
                Code::Other(SqlState::SYSTEM),
                "the background worker ended before it was done",
            )
            .detail("It was not started, or it failed in a way that only the server log tells.")
            .hint("The next call goes on from the last checkpoint."))
        });
        answer.map_err(|mut error| {
            let id = format!("requestId: {}", self.request_id);
            error.detail = Some(
                error
                    .detail
                    .map_or(id.clone(), |detail| format!("{detail}\n{id}")),
            );
            error
        })
    }
}

/// A random (version 4) uuid as text.
fn new_id() -> String {
    // SAFETY: gen_random_uuid takes no arguments and returns a palloc'd uuid.
    let uuid = unsafe { pgrx::direct_function_call::<pgrx::Uuid>(pg_sys::gen_random_uuid, &[]) };
    uuid.map(|u| u.to_string()).unwrap_or_default()
}

fn my_pid() -> i32 {
    // SAFETY: reads a backend-local variable.
    unsafe { pg_sys::MyProcPid }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.worker.is_over() && self.mailbox.given_up().is_none() {
            self.worker.end(&self.mailbox, Cause::of_this_statement());
        }
    }
}

/// A started worker. It is told to end when its run is dropped early: on ERROR (cancel, timeout) by unwinding, on FATAL
/// (pg_terminate_backend), which doesn't unwind, by `before_shmem_exit`.
struct Worker(Handle);

impl Worker {
    fn start(mailbox: &Rc<Mailbox>) -> Result<Self> {
        // SAFETY: reads a backend-local variable.
        let database = unsafe { pg_sys::MyDatabaseId };
        let builder = BackgroundWorkerBuilder::new("sync_ext worker")
            .set_type("sync_ext worker")
            .set_library("sync_ext")
            .set_function("sync_ext_worker_main")
            .enable_spi_access()
            .set_restart_time(None)
            .set_argument(Some(pg_sys::Datum::from(mailbox.handle())))
            .set_extra(&database.to_u32().to_string())
            .set_notify_pid(my_pid());
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
        await_too(handle, mailbox);
        Ok(Worker(handle))
    }

    fn end(&self, mailbox: &Mailbox, cause: Cause) {
        end(self.0, mailbox, cause);
    }

    fn wait(&self) {
        // SAFETY: self.0 is a live handle; the call checks interrupts and may raise, which unwinds through Drop.
        unsafe { pg_sys::WaitForBackgroundWorkerShutdown(self.0) };
    }

    fn is_over(&self) -> bool {
        state_of(self.0).0 == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }
}

/// Whether a worker runs, and as which process.
fn state_of(handle: Handle) -> (pg_sys::BgwHandleStatus::Type, i32) {
    let mut pid = 0;
    // SAFETY: a live handle; the pid is ours to write.
    let status = unsafe { pg_sys::GetBackgroundWorkerPid(handle, &mut pid) };
    (status, pid)
}

/// Interrupts what the worker does, so that it can note how the run ended. One that has not begun never will.
fn end(handle: Handle, mailbox: &Mailbox, cause: Cause) {
    mailbox.give_up(cause);
    match state_of(handle) {
        // SAFETY: a worker that its postmaster has not seen the end of keeps its pid.
        (pg_sys::BgwHandleStatus::BGWH_STARTED, pid) => unsafe {
            libc::kill(pid, libc::SIGINT);
        },
        // SAFETY: a live handle; terminating one that has ended is harmless.
        _ => unsafe { pg_sys::TerminateBackgroundWorker(handle) },
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut awaited = AWAITED.take();
        awaited.retain(|(handle, _)| *handle != self.0);
        AWAITED.set(awaited);
        // SAFETY: a handle of ours, which nobody else knows any more.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

fn await_too(handle: Handle, mailbox: &Rc<Mailbox>) {
    let mut awaited = AWAITED.take();
    awaited.push((handle, mailbox.clone()));
    AWAITED.set(awaited);
    if !EXIT_HOOK_SET.replace(true) {
        // SAFETY: registers a function that stays loaded as long as the process lives.
        unsafe { pg_sys::before_shmem_exit(Some(end_workers_at_exit), pg_sys::Datum::from(0)) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_workers_at_exit(_code: libc::c_int, _arg: pg_sys::Datum) {
    for (handle, mailbox) in AWAITED.take() {
        end(handle, &mailbox, Cause::Cancelled);
    }
}
