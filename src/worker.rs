//! Where a background worker begins.

use crate::job;
use crate::pg::mailbox::Mailbox;
use crate::pg::{ending, identity, raised, session};
use crate::request::{Reply, Request};
use crate::store::transaction;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;
use std::rc::Rc;
use sync_engine::error::{Code, Error};

extern "C-unwind" {
    /// Postgres' own SIGTERM handler: the wait that is interrupted raises FATAL. The raw symbol, since
    /// pg_sys::die is a wrapper that can't be a signal handler.
    fn die(signal: libc::c_int);
}

/// Characters that each text of an error keeps where it doesn't fit otherwise: a view's own may have any number.
const LONGEST_TEXT: usize = 2000;

/// Entry point of a worker; the argument is the mailbox's handle.
#[pg_guard]
#[no_mangle]
pub extern "C-unwind" fn sync_ext_worker_main(argument: pg_sys::Datum) {
    handle_sigterm();
    session::this_is_a_worker();
    // the caller may have given up meanwhile: nothing to do then
    let Some(mailbox) = Mailbox::attach(argument.value() as u32).map(Rc::new) else {
        return;
    };
    // what ends this process is told to the caller: termination, a database that takes no connections
    let told = mailbox.clone();
    ending::watch(mailbox.clone());
    raised::attend_for_good(move |end| {
        answer(
            &told,
            Err(end.hint("The next call goes on from the last checkpoint.")),
        )
    });
    let Some(database) = database(BackgroundWorker::get_extra()) else {
        let error = Error::new(Code::Internal, "the worker was not told which database it is for");
        return answer(&mailbox, Err(error));
    };
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    write_and_see();
    let reply = transaction::guarded(|| work(&mailbox));
    answer(&mailbox, reply);
}

/// From what the worker was started with: by number 0, Postgres means none.
fn database(extra: &str) -> Option<pg_sys::Oid> {
    let number = extra.parse::<u32>().ok().filter(|number| *number != 0)?;
    Some(pg_sys::Oid::from(number))
}

fn answer(mailbox: &Mailbox, reply: Reply) {
    let fits = |reply: &Reply| serde_json::to_vec(reply).is_ok_and(|bytes| mailbox.put_reply(&bytes));
    if !fits(&reply) {
        fits(&Err(match reply {
            Err(error) => error.shortened(LONGEST_TEXT),
            Ok(_) => Error::new(
                Code::Internal,
                "the worker's answer is longer than there is room for",
            )
            .hint("What was asked for is done; please report it."),
        }));
    }
}

fn work(mailbox: &Mailbox) -> Reply {
    let request: Request = serde_json::from_slice(&mailbox.request())
        .map_err(|e| Error::new(Code::Internal, format!("the worker can't read its request: {e}")))?;
    let is_superuser = transaction::short(|| Ok(identity::is_superuser(request.role)))?;
    identity::speak_for(request.role, is_superuser, &request.org);
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
