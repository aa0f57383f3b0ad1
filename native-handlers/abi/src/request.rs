//! A request as a handler sees it.

use core::ffi::c_void;

use crate::BmSlice;

/// A request, borrowed from the host until the call returns or the future is dropped. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmRequest {
    /// Size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// Number of `params`.
    pub n_params: u32,
    /// Text: the method, `GET`.
    pub method: BmSlice,
    /// Text: the path, percent escapes resolved.
    pub path: BmSlice,
    /// Text: the query string as sent, without the question mark; empty where there is none.
    pub query: BmSlice,
    /// The whole body; empty unless the handler has `HANDLER_READS_BODY`.
    pub body: BmSlice,
    /// Text: the values of the path parameters in the order of [`BmHandler::params`](crate::BmHandler::params).
    pub params: *const BmSlice,
    /// For the functions of [`BmHost`](crate::BmHost) that take a `ctx`.
    pub ctx: *const c_void,
    /// When the answer is due, in nanoseconds of `CLOCK_MONOTONIC`; 0: never. Set for handlers of the kinds `blocking` and
    /// `async` (since 1.1).
    pub deadline_ns: u64,
}
