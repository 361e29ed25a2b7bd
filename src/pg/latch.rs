//! Waiting and threads: the worker's main thread waits on its latch, helper threads never see a signal.

use pgrx::prelude::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use sync_engine::error::{Code, Error, Result};

/// A pipe by which helper threads wake the main thread.
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

/// The main thread's end of the pipe.
pub struct Wakeable(OwnedFd);

/// Makes a pipe: one end to wait on, one to wake with.
pub fn pipe() -> Result<(Wakeable, Waker)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors; each is owned exactly once afterwards.
    let (read, write) = unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
            return Err(Error::new(
                Code::Internal,
                std::io::Error::last_os_error().to_string(),
            ));
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    Ok((Wakeable(read), Waker(Arc::new(write))))
}

impl Waker {
    pub fn wake(&self) {
        // SAFETY: writes one byte from a live buffer. A full pipe means that a wake-up is pending anyway.
        unsafe { libc::write(self.0.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
    }
}

impl Wakeable {
    /// Waits until a helper wakes us, the time is over, or an interrupt comes (which raises).
    pub fn wait(&self, timeout: Duration) {
        let events = pg_sys::WL_LATCH_SET
            | pg_sys::WL_SOCKET_READABLE
            | pg_sys::WL_TIMEOUT
            | pg_sys::WL_EXIT_ON_PM_DEATH;
        // SAFETY: main thread; the descriptor is open as long as self lives; the buffer is ours.
        unsafe {
            let happened = pg_sys::WaitLatchOrSocket(
                pg_sys::MyLatch,
                events as i32,
                self.0.as_raw_fd(),
                timeout.as_millis().min(60_000) as libc::c_long,
                pg_sys::PG_WAIT_EXTENSION,
            );
            if happened & pg_sys::WL_LATCH_SET as i32 != 0 {
                pg_sys::ResetLatch(pg_sys::MyLatch);
            }
            let mut drained = [0u8; 64];
            while libc::read(self.0.as_raw_fd(), drained.as_mut_ptr().cast(), drained.len()) > 0 {}
        }
        pgrx::check_for_interrupts!();
    }
}

/// Starts a thread that has every signal blocked, as have all threads it starts (an HTTP client does).
/// A handler of Postgres must only ever run on the main thread.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    // SAFETY: the masks are plain values; the old one is restored before we return.
    let old = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut old: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
        old
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    // SAFETY: restores what was there before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut()) };
    started.map_err(|e| Error::new(Code::Internal, format!("can't start a thread: {e}")))
}
