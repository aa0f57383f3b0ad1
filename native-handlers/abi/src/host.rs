//! What the host offers to plugins.

use core::ffi::c_void;

use crate::{BmResponse, BmSlice, BmWakerVtable};

/// A failure someone must look at.
pub const LOG_ERROR: u32 = 1;
/// Something that should not happen but was dealt with.
pub const LOG_WARN: u32 = 2;
/// What an operator wants to know.
pub const LOG_INFO: u32 = 3;
/// What a developer wants to know.
pub const LOG_DEBUG: u32 = 4;
/// Everything.
pub const LOG_TRACE: u32 = 5;

/// The server does not take requests of the application yet.
pub const SERVER_STARTING: u32 = 0;
/// The server takes requests.
pub const SERVER_READY: u32 = 1;
/// The server finishes what it has and ends.
pub const SERVER_DRAINING: u32 = 2;

/// Called by [`BmHost::header_each`] for each field; `name` and `value` are valid during the call only.
pub type BmHeaderVisitor = unsafe extern "C" fn(visitor: *mut c_void, name: BmSlice, value: BmSlice);

/// The host's functions: static data, the same for every plugin, usable from any thread unless said otherwise. Fields are
/// only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmHost {
    /// Size of this table in bytes, as the host knows it.
    pub size: u32,
    /// [`ABI_MINOR`](crate::ABI_MINOR) of the host.
    pub abi_minor: u32,
    /// The `CAP_` bits the host has.
    pub caps: u64,
    /// How to use the wakers that come with a poll.
    pub waker: *const BmWakerVtable,
    /// Writes a log line: level, target (text), message (text).
    pub log: Option<unsafe extern "C" fn(level: u32, target: BmSlice, message: BmSlice)>,
    /// The first value of a header of the request `ctx` belongs to; `name` is text in lower case. `RESULT_OK` with `value`
    /// borrowed as long as the request, or `RESULT_ABSENT`. Only on the thread of the call or of the future.
    pub header_get:
        Option<unsafe extern "C" fn(ctx: *const c_void, name: BmSlice, value: *mut BmSlice) -> u32>,
    /// Calls `visit(visitor, name, value)` with each header field: names in lower case and in no certain order, but those
    /// of one name in theirs. Only on the thread of the call or of the future.
    pub header_each:
        Option<unsafe extern "C" fn(ctx: *const c_void, visit: BmHeaderVisitor, visitor: *mut c_void)>,
    /// Replaces `buf` and `cap` of a leased response by at least `min_cap` bytes, the first `len` bytes kept. Only within
    /// the call or poll that lent it. `RESULT_OK`, or `RESULT_FAILED` when there is a limit and `min_cap` is over it.
    pub response_grow: Option<unsafe extern "C" fn(response: *mut BmResponse, min_cap: usize) -> u32>,
    /// `SERVER_STARTING`, `SERVER_READY` or `SERVER_DRAINING`: the state of the server that serves this request.
    pub server_state: Option<unsafe extern "C" fn(ctx: *const c_void) -> u32>,
}

// SAFETY: the table is static data that nobody changes, and its functions may be called from any thread.
unsafe impl Send for BmHost {}
// SAFETY: as for `Send`.
unsafe impl Sync for BmHost {}
