//! A piece of dynamic shared memory through which a call hands its worker the request and takes the reply.

use super::ending::Cause;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicU32, Ordering};
use sync_engine::error::{Code, Error, Result};

/// Longest request: a webhook's body and what goes with it.
const LONGEST_REQUEST: usize = 8 * 1024 * 1024;
/// Room for the reply.
const REPLY_ROOM: usize = 64 * 1024;

/// Begin of the segment; the reply's room and the request follow it. Each side writes only its own part: the caller the
/// request before the worker is registered, the worker the reply before it ends. Registration and the postmaster's
/// notice of the end order the accesses; there is never a reader beside a writer. But for `given_up`, which is atomic.
#[repr(C)]
struct Layout {
    request_len: u32,
    reply_len: u32,
    given_up: AtomicU32,
    reply: [u8; REPLY_ROOM],
}

/// An attached segment; detached when dropped. The memory goes when both sides have detached.
pub struct Mailbox(*mut pg_sys::dsm_segment);

impl Mailbox {
    /// Makes a segment that holds `request`.
    pub fn create(request: &[u8]) -> Result<Self> {
        if request.len() > LONGEST_REQUEST {
            return Err(Error::new(Code::Invalid, "the call's arguments are too long"));
        }
        let size = std::mem::size_of::<Layout>() + request.len();
        // SAFETY: called on the main thread of a backend, inside a transaction; dsm_create raises an ERROR
        // rather than return null. The fresh segment is as large as Layout and the request.
        let mailbox = Mailbox(unsafe { pg_sys::dsm_create(size, 0) });
        let layout = mailbox.layout();
        // SAFETY: nobody else knows the segment yet.
        unsafe {
            (*layout).reply_len = 0;
            (*layout).given_up = AtomicU32::new(0);
            (*layout).request_len = request.len() as u32;
            layout
                .add(1)
                .cast::<u8>()
                .copy_from_nonoverlapping(request.as_ptr(), request.len());
        }
        Ok(mailbox)
    }

    /// Attaches to the caller's segment; None when the caller is gone.
    pub fn attach(handle: u32) -> Option<Self> {
        // SAFETY: any handle may be asked for; null comes back for one that no longer exists.
        let segment = unsafe { pg_sys::dsm_attach(handle) };
        // `then_some` would make a Mailbox of null first, and dropping that one ends the process
        (!segment.is_null()).then(|| Mailbox(segment))
    }

    /// What the worker needs to attach.
    pub fn handle(&self) -> u32 {
        // SAFETY: self.0 is an attached segment.
        unsafe { pg_sys::dsm_segment_handle(self.0) }
    }

    pub fn request(&self) -> Vec<u8> {
        let layout = self.layout();
        // SAFETY: written before the worker was registered, see Layout; the caller made the segment that long.
        unsafe {
            let length = ((*layout).request_len as usize).min(LONGEST_REQUEST);
            std::slice::from_raw_parts(layout.add(1).cast::<u8>(), length).to_vec()
        }
    }

    /// Worker's side. False when the reply doesn't fit. The first one counts: what ends the worker afterwards changes nothing.
    pub fn put_reply(&self, reply: &[u8]) -> bool {
        if reply.len() > REPLY_ROOM {
            return false;
        }
        let layout = self.layout();
        // SAFETY: only the worker writes the reply, and the caller reads it after the worker's end.
        unsafe {
            if (*layout).reply_len > 0 {
                return true;
            }
            (&mut (*layout).reply)[..reply.len()].copy_from_slice(reply);
            (*layout).reply_len = reply.len() as u32;
        }
        true
    }

    /// Caller's side, after the worker's end; empty when it ended without a reply.
    pub fn reply(&self) -> Vec<u8> {
        let layout = self.layout();
        // SAFETY: see put_reply.
        unsafe { (&(*layout).reply)[..((*layout).reply_len as usize).min(REPLY_ROOM)].to_vec() }
    }

    /// Caller's side: nobody waits for the reply.
    pub fn give_up(&self, cause: Cause) {
        // SAFETY: attached; both sides touch it atomically only.
        unsafe { (*self.layout()).given_up.store(cause.number(), Ordering::Release) };
    }

    /// Worker's side: whether, and why, the caller has given up.
    pub fn given_up(&self) -> Option<Cause> {
        // SAFETY: as above.
        Cause::numbered(unsafe { (*self.layout()).given_up.load(Ordering::Acquire) })
    }

    fn layout(&self) -> *mut Layout {
        // SAFETY: self.0 is attached; the address is page-aligned and the segment at least as large as Layout.
        unsafe { pg_sys::dsm_segment_address(self.0).cast() }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // SAFETY: attached by us, detached once.
        unsafe { pg_sys::dsm_detach(self.0) }
    }
}
