//! Bytes by address and length.

use core::ptr;

/// Borrowed bytes. Text is UTF-8 where the field says text; it is not terminated by a zero.
///
/// Who may read it and how long is said where it is used. An empty slice may have a null pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BmSlice {
    /// The first byte; may be null when `len` is 0.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

impl BmSlice {
    /// No bytes.
    pub const EMPTY: BmSlice = BmSlice { ptr: ptr::null(), len: 0 };

    /// The bytes of `bytes`, borrowed: nothing ties the result to the lifetime of `bytes`.
    pub const fn borrow(bytes: &[u8]) -> BmSlice {
        BmSlice { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes of `text`, borrowed: nothing ties the result to the lifetime of `text`.
    pub const fn borrow_str(text: &str) -> BmSlice {
        BmSlice::borrow(text.as_bytes())
    }

    /// The bytes, or nothing for a null pointer with a length: that is a fault of whoever wrote it.
    ///
    /// # Safety
    ///
    /// Where the pointer is not null, `len` bytes from it on must be readable and unchanged for `'a`.
    pub const unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        if self.len == 0 {
            return Some(&[]);
        }
        if self.ptr.is_null() || self.len > isize::MAX as usize {
            return None;
        }
        // SAFETY: not null, not larger than an object can be, and readable by this function's contract.
        Some(unsafe { core::slice::from_raw_parts(self.ptr, self.len) })
    }

    /// The text, or nothing where [`BmSlice::bytes`] gives nothing or the bytes are not UTF-8.
    ///
    /// # Safety
    ///
    /// As for [`BmSlice::bytes`].
    pub unsafe fn text<'a>(self) -> Option<&'a str> {
        // SAFETY: the same contract.
        match unsafe { self.bytes() } {
            Some(bytes) => core::str::from_utf8(bytes).ok(),
            None => None,
        }
    }
}

impl Default for BmSlice {
    fn default() -> Self {
        BmSlice::EMPTY
    }
}

// SAFETY: a slice is an address and a length. Reading through it takes `unsafe`, and that caller vouches for the bytes.
unsafe impl Send for BmSlice {}
// SAFETY: as for `Send`.
unsafe impl Sync for BmSlice {}
