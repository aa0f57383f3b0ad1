//! Work a plugin asks the host for: jobs on its pool, calls of the server's routes, and metrics.

use core::ffi::c_void;

use crate::{BmHeader, BmSlice};

/// A job for the host's pool of threads that may block. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmJob {
    /// Size of this struct in bytes, as the plugin knows it.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// The plugin's.
    pub data: *mut c_void,
    /// Does the work, on a thread of the pool; called once at most. `RESULT_OK`, or `RESULT_PANIC`.
    pub run: Option<unsafe extern "C" fn(data: *mut c_void) -> u32>,
    /// The last use of `data`: after `run`, or in its place where the host ends before. Called exactly once, from any thread.
    pub drop: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

/// A call of a route of the same server. Borrowed during [`BmHost::call_route`](crate::BmHost::call_route). Fields are only
/// ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmCall {
    /// Size of this struct in bytes, as the plugin knows it.
    pub size: u32,
    /// Number of `headers`.
    pub n_headers: u32,
    /// Text: the method, `GET`.
    pub method: BmSlice,
    /// Text: path and query as they are sent, percent-encoded, `/users/7?verbose=yes`.
    pub target: BmSlice,
    /// Header fields. Those of a connection and those that frame the body (`connection`, `content-length`,
    /// `transfer-encoding`, ...) are left out; `upgrade` is refused.
    pub headers: *const BmHeader,
    /// The body.
    pub body: BmSlice,
}

/// What became of a call. Written by [`BmHost::task_reply`](crate::BmHost::task_reply); what it points to is the host's and
/// valid until `task_drop`. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmReply {
    /// Size of this struct in bytes, as the plugin knows it; set by the plugin.
    pub size: u32,
    /// The status code; 0 where there is no answer.
    pub status: u32,
    /// A `CALL_` number: why there is no answer; `CALL_OK` where there is one.
    pub failure: u32,
    /// Number of `headers`.
    pub n_headers: u32,
    /// Header fields in no certain order, but those of one name in theirs; names in lower case.
    pub headers: *const BmHeader,
    /// The body.
    pub body: BmSlice,
    /// Text: why there is no answer; empty where there is one.
    pub error: BmSlice,
}

/// There is an answer, whatever its status.
pub const CALL_OK: u32 = 0;
/// Method, target or a header field is not valid in HTTP.
pub const CALL_INVALID: u32 = 1;
/// The call asks for another protocol (a WebSocket).
pub const CALL_UPGRADE: u32 = 2;
/// Too many routes have called one another.
pub const CALL_TOO_DEEP: u32 = 3;
/// The server does not serve, or the handler belongs to none.
pub const CALL_STOPPED: u32 = 4;
/// No answer by the deadline of the calling handler.
pub const CALL_TIMED_OUT: u32 = 5;
/// The answer is larger than the server allows.
pub const CALL_TOO_LARGE: u32 = 6;
/// The answer ended before it was whole.
pub const CALL_CUT_SHORT: u32 = 7;

/// A metric to be registered. Borrowed during [`BmHost::metric_register`](crate::BmHost::metric_register). Fields are only ever
/// appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmMetric {
    /// Size of this struct in bytes, as the plugin knows it.
    pub size: u32,
    /// `METRIC_COUNTER`, `METRIC_GAUGE` or `METRIC_HISTOGRAM`.
    pub kind: u32,
    /// Number of `labels`.
    pub n_labels: u32,
    /// Number of `bounds`.
    pub n_bounds: u32,
    /// Text: the name, as Prometheus shows it.
    pub name: BmSlice,
    /// Text: one line that says what it counts.
    pub help: BmSlice,
    /// Names and values of the labels.
    pub labels: *const BmHeader,
    /// Upper bounds of a histogram's buckets, rising; the one to infinity is added.
    pub bounds: *const f64,
}

/// Only grows: [`BmHost::metric_add`](crate::BmHost::metric_add).
pub const METRIC_COUNTER: u32 = 0;
/// Goes up and down: [`BmHost::metric_set`](crate::BmHost::metric_set).
pub const METRIC_GAUGE: u32 = 1;
/// Counts values by size: [`BmHost::metric_observe`](crate::BmHost::metric_observe).
pub const METRIC_HISTOGRAM: u32 = 2;

/// Called by [`BmHost::metrics_text`](crate::BmHost::metrics_text) with one piece of text after the other.
pub type BmTextVisitor = unsafe extern "C" fn(visitor: *mut c_void, text: BmSlice);
