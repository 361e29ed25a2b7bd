//! How long a run may take. It has a place among the workers, which a remote that trickles, or code of the app that sleeps, would
//! keep for ever.

use super::latch;
use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};
use sync_engine::error::{Code, Error, Result};

/// What a run has to end in, once its time is up. Code of the app may catch what ends it, and go on: then the process is ended.
const GRACE: Duration = Duration::from_secs(60);

thread_local! {
    /// When the time of this worker's run began, and how long it is.
    static RUN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// From now on this worker's run has so much time. A thread cancels then what is under way, in a transaction or between two, as
/// `pg_cancel_backend` would.
pub fn begin(time: Duration) -> Result<()> {
    RUN.set(Some((Instant::now(), time)));
    latch::spawn("sync_ext time", move || {
        sleep(time);
        signal(libc::SIGINT);
        sleep(GRACE.min(time));
        signal(libc::SIGTERM);
    })?;
    Ok(())
}

/// To this process: its main thread, as all others block every signal.
fn signal(number: libc::c_int) {
    // SAFETY: sends a signal that Postgres handles.
    unsafe { libc::kill(libc::getpid(), number) };
}

/// What has ended a run, by its name.
pub fn told(error: Error) -> Error {
    match RUN.get() {
        Some((began, time)) if error.code == Code::Cancelled && began.elapsed() >= time => Error::new(
            Code::OutOfTime,
            format!(
                "the run was not done within sync_ext.max_run_time ({} s)",
                time.as_secs()
            ),
        )
        .hint("The next call goes on from the last checkpoint. A superuser can give runs more time."),
        _ => error,
    }
}
