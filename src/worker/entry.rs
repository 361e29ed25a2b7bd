//! Where a background worker begins.

use super::mailbox::Mailbox;
use super::{transaction, turn, Reply, Request};
use crate::job;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;
use sync_engine::error::{Code, Error};

extern "C-unwind" {
    /// Postgres' own SIGTERM handler: the wait that is interrupted raises FATAL. The raw symbol, since
    /// pg_sys::die is a wrapper that can't be a signal handler.
    fn die(signal: libc::c_int);
}

/// Entry point of a worker; the argument is the mailbox's handle.
#[pg_guard]
#[no_mangle]
pub extern "C-unwind" fn sync_ext_worker_main(argument: pg_sys::Datum) {
    handle_sigterm();
    turn::this_is_a_worker();
    let database = BackgroundWorker::get_extra().parse::<u32>().unwrap_or_default();
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    write_and_see();
    // the caller may have given up meanwhile: nothing to do then
    let Some(mailbox) = Mailbox::attach(argument.value() as u32) else {
        return;
    };
    let reply = work(&mailbox);
    let fits = serde_json::to_vec(&reply).is_ok_and(|bytes| mailbox.put_reply(&bytes));
    if !fits {
        log!("sync_ext: the reply of a worker did not fit its mailbox");
    }
}

fn work(mailbox: &Mailbox) -> Reply {
    let request: Request = serde_json::from_slice(&mailbox.request())
        .map_err(|e| Error::new(Code::Internal, format!("the worker can't read its request: {e}")))?;
    transaction::use_extension_schema()?;
    job::run(&request)
}

/// Whatever defaults database and role have: a worker writes, and goes by what others have committed.
fn write_and_see() {
    for (name, value) in [
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
    ] {
        // SAFETY: on the main thread, between two transactions; both texts are copied.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
            );
        }
    }
}

fn handle_sigterm() {
    // SAFETY: before any thread is started; `die` is a valid handler for as long as the process lives.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(libc::SIGTERM, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(libc::SIGTERM, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}
