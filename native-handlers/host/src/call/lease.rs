//! The buffer that is lent to a handler for its response.
//!
//! Each thread keeps one. What a handler writes is split off and becomes the response's body without a copy; when the
//! earlier responses are gone, the memory is used again. So a small response costs no allocation.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;

use bimetal_abi::{BmResponse, BmSlice, RESPONSE_LEASED};
use bytes::{Bytes, BytesMut};

/// How much is allocated at a time.
const CHUNK: usize = 32 * 1024;
/// How much is lent at least.
const LENT: usize = 2 * 1024;
/// The largest response a buffer is enlarged to; beyond it a handler has to give memory of its own.
pub(super) const MAX_LENT: usize = 1 << 30;

thread_local! {
    /// Boxed, so that taking it and putting it back moves a pointer.
    static BUFFER: Cell<Option<Box<BytesMut>>> = const { Cell::new(None) };
}

/// The thread's buffer, for one call.
pub(super) struct Lease {
    /// There until the lease is dropped.
    buffer: ManuallyDrop<Box<BytesMut>>,
}

impl Lease {
    #[inline]
    pub(super) fn take() -> Lease {
        let mut buffer = BUFFER.try_with(Cell::take).ok().flatten().unwrap_or_default();
        buffer.clear();
        if buffer.capacity() < LENT {
            buffer.reserve(CHUNK);
        }
        Lease { buffer: ManuallyDrop::new(buffer) }
    }

    /// An empty response with this status code that lends the buffer. The lease must stay where it is while that is in use.
    pub(super) fn response(&mut self, status: u16) -> BmResponse {
        BmResponse {
            size: size_of::<BmResponse>() as u32,
            status: status.into(),
            kind: RESPONSE_LEASED,
            n_headers: 0,
            content_type: BmSlice::EMPTY,
            headers: ptr::null(),
            buf: self.buffer.as_mut_ptr(),
            cap: self.buffer.capacity(),
            len: 0,
            lease: ptr::from_mut(self).cast(),
            owner: ptr::null_mut(),
            release: None,
            next: None,
        }
    }

    /// Makes room for `min_cap` bytes, keeps the first `len`, gives the buffer and its size.
    ///
    /// # Safety
    ///
    /// `len` bytes of the buffer have been written.
    pub(super) unsafe fn grow(&mut self, len: usize, min_cap: usize) -> Option<(*mut u8, usize)> {
        if len > self.buffer.capacity() || min_cap > MAX_LENT {
            return None;
        }
        // SAFETY: within the capacity, and written by this function's contract.
        unsafe { self.buffer.set_len(len) };
        let wanted = min_cap.max(len).max(self.buffer.capacity() * 2).min(MAX_LENT);
        self.buffer.reserve(wanted - len);
        Some((self.buffer.as_mut_ptr(), self.buffer.capacity()))
    }

    /// Whether `buf` and `cap` are what was lent last.
    pub(super) fn lent(&self, buf: *const u8, cap: usize) -> bool {
        buf == self.buffer.as_ptr() && cap <= self.buffer.capacity()
    }

    /// The first `len` bytes as a response's body; nothing if so many were not lent.
    ///
    /// # Safety
    ///
    /// `len` bytes of the buffer have been written.
    pub(super) unsafe fn split(&mut self, len: usize) -> Option<Bytes> {
        if len > self.buffer.capacity() {
            return None;
        }
        // SAFETY: within the capacity, and written by this function's contract.
        unsafe { self.buffer.set_len(len) };
        Some(self.buffer.split().freeze())
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the lease is being dropped: nobody uses its buffer after this.
        let buffer = unsafe { ManuallyDrop::take(&mut self.buffer) };
        // Without the thread's storage the thread is ending, and the buffer goes with it.
        let _ = BUFFER.try_with(|kept| kept.set(Some(buffer)));
    }
}
