//! A response as a handler writes it.

use core::ffi::c_void;

use crate::{BmSlice, BmWaker};

/// The body is the first `len` bytes of `buf` as the host lent it (or as `response_grow` replaced it).
pub const RESPONSE_LEASED: u32 = 0;
/// The body is `len` bytes at `buf`, the plugin's until `release`.
pub const RESPONSE_OWNED: u32 = 1;
/// The body is `len` bytes at `buf` that stay valid until the process ends.
pub const RESPONSE_STATIC: u32 = 2;
/// The body comes in chunks, from `next`; `buf` and `len` are ignored. Only where the host has
/// [`CAP_RESPONSE_STREAM`](crate::CAP_RESPONSE_STREAM). Since 1.1.
pub const RESPONSE_STREAM: u32 = 3;

/// A header field of a response.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BmHeader {
    /// The name, in any case.
    pub name: BmSlice,
    /// The value; no CR, LF or NUL.
    pub value: BmSlice,
}

/// A response. The host fills in `size`, `status` (200 unless the route says otherwise), kind leased, `buf`, `cap` and
/// `lease` and clears the rest; the handler changes what it needs to. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmResponse {
    /// Size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// Status code, 200 to 599.
    pub status: u32,
    /// `RESPONSE_LEASED`, `RESPONSE_OWNED` or `RESPONSE_STATIC`: whose memory `buf` is. Or `RESPONSE_STREAM`.
    pub kind: u32,
    /// Number of `headers`.
    pub n_headers: u32,
    /// The `content-type`; empty: none is sent. Valid as long as `headers`.
    pub content_type: BmSlice,
    /// Further header fields: static, or the plugin's until `release`.
    pub headers: *const BmHeader,
    /// The body.
    pub buf: *mut u8,
    /// Size of the buffer lent by the host, in bytes. The other kinds ignore it.
    pub cap: usize,
    /// Length of the body, in bytes.
    pub len: usize,
    /// The host's handle of the lent buffer, for `response_grow`. Not to be changed.
    pub lease: *mut c_void,
    /// For `release` and `next`.
    pub owner: *mut c_void,
    /// Called once with `owner` when the host needs body, `content_type` and `headers` no more, from any thread; null:
    /// nothing to release. It ends a stream, which may have had more to give: the client may be gone.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Kind stream: the next chunk of the body, asked for when the connection has room for it. Never from two threads at
    /// once and never after `release`, but not always from the thread of the call. Since 1.1.
    ///
    /// `RESULT_OK`: `chunk` is filled in. `RESULT_PENDING`: the waker will be woken, which is borrowed for the call: clone it
    /// to keep it. `RESULT_ABSENT`: the body is complete. `RESULT_FAILED`: it never will be, `chunk` is filled in with the
    /// reason as text, for the log. `RESULT_PANIC`. After the last three the host does not ask again.
    pub next:
        Option<unsafe extern "C" fn(owner: *mut c_void, waker: *const BmWaker, chunk: *mut BmChunk) -> u32>,
}

/// A part of a body, as [`BmResponse::next`] writes it; the host clears it before. Since 1.1.
#[repr(C)]
#[derive(Debug)]
pub struct BmChunk {
    /// Size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The bytes: the plugin's until `release`. None is allowed, and says nothing about the end.
    pub bytes: BmSlice,
    /// For `release`.
    pub owner: *mut c_void,
    /// Called once with `owner` when the host needs the bytes no more, from any thread, also after the stream's own
    /// `release`; null: the bytes are static.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}
