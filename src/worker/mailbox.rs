//! A piece of dynamic shared memory through which a call hands its worker the request and takes the reply.

use pgrx::pg_sys;
use sync_engine::error::{Code, Error, Result};

const CAPACITY: usize = 64 * 1024;

/// Layout of the segment. Each side writes only its own half: the caller `request` before the worker is
/// registered, the worker `reply` before it ends. Registration and the postmaster's notice of the end order
/// the accesses; there is never a reader beside a writer.
#[repr(C)]
struct Layout {
    request_len: u32,
    reply_len: u32,
    request: [u8; CAPACITY],
    reply: [u8; CAPACITY],
}

/// An attached segment; detached when dropped. The memory goes when both sides have detached.
pub struct Mailbox(*mut pg_sys::dsm_segment);

impl Mailbox {
    /// Makes a segment that holds `request`.
    pub fn create(request: &[u8]) -> Result<Self> {
        if request.len() > CAPACITY {
            return Err(Error::new(Code::Invalid, "the call's arguments are too long"));
        }
        // SAFETY: called on the main thread of a backend, inside a transaction; dsm_create raises an ERROR
        // rather than return null. The fresh segment is as large as Layout and zeroed by the kernel.
        let mailbox = Mailbox(unsafe { pg_sys::dsm_create(std::mem::size_of::<Layout>(), 0) });
        let layout = mailbox.layout();
        // SAFETY: nobody else knows the segment yet.
        unsafe {
            (*layout).reply_len = 0;
            (*layout).request_len = request.len() as u32;
            (&mut (*layout).request)[..request.len()].copy_from_slice(request);
        }
        Ok(mailbox)
    }

    /// Attaches to the caller's segment; None when the caller is gone.
    pub fn attach(handle: u32) -> Option<Self> {
        // SAFETY: any handle may be asked for; null comes back for one that no longer exists.
        let segment = unsafe { pg_sys::dsm_attach(handle) };
        (!segment.is_null()).then_some(Mailbox(segment))
    }

    /// What the worker needs to attach.
    pub fn handle(&self) -> u32 {
        // SAFETY: self.0 is an attached segment.
        unsafe { pg_sys::dsm_segment_handle(self.0) }
    }

    pub fn request(&self) -> Vec<u8> {
        let layout = self.layout();
        // SAFETY: written before the worker was registered, see Layout.
        unsafe { (&(*layout).request)[..((*layout).request_len as usize).min(CAPACITY)].to_vec() }
    }

    /// Worker's side. False when the reply doesn't fit.
    pub fn put_reply(&self, reply: &[u8]) -> bool {
        if reply.len() > CAPACITY {
            return false;
        }
        let layout = self.layout();
        // SAFETY: only the worker writes the reply, and the caller reads it after the worker's end.
        unsafe {
            (&mut (*layout).reply)[..reply.len()].copy_from_slice(reply);
            (*layout).reply_len = reply.len() as u32;
        }
        true
    }

    /// Caller's side, after the worker's end; empty when it ended without a reply.
    pub fn reply(&self) -> Vec<u8> {
        let layout = self.layout();
        // SAFETY: see put_reply.
        unsafe { (&(*layout).reply)[..((*layout).reply_len as usize).min(CAPACITY)].to_vec() }
    }

    fn layout(&self) -> *mut Layout {
        // SAFETY: self.0 is attached; the address is page-aligned and the segment as large as Layout.
        unsafe { pg_sys::dsm_segment_address(self.0).cast() }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // SAFETY: attached by us, detached once.
        unsafe { pg_sys::dsm_detach(self.0) }
    }
}
