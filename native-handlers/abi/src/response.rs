//! A response as a handler writes it.

use core::ffi::c_void;

use crate::BmSlice;

/// The body is the first `len` bytes of `buf` as the host lent it (or as `response_grow` replaced it).
pub const RESPONSE_LEASED: u32 = 0;
/// The body is `len` bytes at `buf`, the plugin's until `release`.
pub const RESPONSE_OWNED: u32 = 1;
/// The body is `len` bytes at `buf` that stay valid until the process ends.
pub const RESPONSE_STATIC: u32 = 2;

/// A header field of a response.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BmHeader {
    /// The name, in any case.
    pub name: BmSlice,
    /// The value; no CR, LF or NUL.
    pub value: BmSlice,
}

/// A response. The host fills in `size`, `status` 200, kind leased, `buf`, `cap` and `lease` and clears the rest; the
/// handler changes what it needs to. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmResponse {
    /// Size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// Status code, 200 to 599.
    pub status: u32,
    /// `RESPONSE_LEASED`, `RESPONSE_OWNED` or `RESPONSE_STATIC`: whose memory `buf` is.
    pub kind: u32,
    /// Number of `headers`.
    pub n_headers: u32,
    /// The `content-type`; empty: none is sent. Valid as long as `headers`.
    pub content_type: BmSlice,
    /// Further header fields: static, or the plugin's until `release`.
    pub headers: *const BmHeader,
    /// The body.
    pub buf: *mut u8,
    /// Size of the buffer lent by the host, in bytes. Kinds owned and static ignore it.
    pub cap: usize,
    /// Length of the body, in bytes.
    pub len: usize,
    /// The host's handle of the lent buffer, for `response_grow`. Not to be changed.
    pub lease: *mut c_void,
    /// For `release`.
    pub owner: *mut c_void,
    /// Called once with `owner` when the host needs body, `content_type` and `headers` no more, from any thread; null:
    /// nothing to release.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}
