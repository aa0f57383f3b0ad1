//! What the host offers to plugins.

use core::ffi::c_void;

use crate::{BmCall, BmJob, BmMetric, BmReply, BmResponse, BmSlice, BmTextVisitor, BmWaker, BmWakerVtable};

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

    // Since 1.1.
    /// The time now, in nanoseconds of `CLOCK_MONOTONIC`: what `BmRequest::deadline_ns` is compared with.
    pub now_ns: Option<unsafe extern "C" fn() -> u64>,
    /// Has a thread of the host's pool run `job`, which begins without being polled. `RESULT_OK` with a task; `RESULT_FAILED`
    /// when the pool and its queue are full: then the host has not touched `data`. The plugin's generation stays until the job
    /// has ended. `ctx` as for `header_get`.
    pub spawn_blocking:
        Option<unsafe extern "C" fn(ctx: *const c_void, job: *const BmJob, task: *mut *mut c_void) -> u32>,
    /// Calls a route of the server that serves the request of `ctx`, which begins without being polled. `RESULT_OK` with a
    /// task, also where the call cannot succeed: `task_reply` tells. `ctx` as for `header_get`.
    pub call_route:
        Option<unsafe extern "C" fn(ctx: *const c_void, call: *const BmCall, task: *mut *mut c_void) -> u32>,
    /// Whether a task has ended: `RESULT_PENDING` (the waker, one of the host's, will be woken), else how: `RESULT_OK`,
    /// `RESULT_PANIC` for a job that panicked, `RESULT_FAILED` for a job that never ran and a call without an answer. A task
    /// is used by one thread at a time, any one.
    pub task_poll: Option<unsafe extern "C" fn(task: *mut c_void, waker: *const BmWaker) -> u32>,
    /// The same, but waits. `RESULT_PENDING` on an I/O worker, which must not wait.
    pub task_wait: Option<unsafe extern "C" fn(task: *mut c_void) -> u32>,
    /// What became of a call, when its task has ended. `RESULT_OK`, or `RESULT_ABSENT` when it has not or is a job.
    pub task_reply: Option<unsafe extern "C" fn(task: *mut c_void, reply: *mut BmReply) -> u32>,
    /// Gives the task up, once for each. A call that has not ended is cancelled, as if a client had gone away; a job goes on.
    pub task_drop: Option<unsafe extern "C" fn(task: *mut c_void)>,
    /// A waker of the host's, owned, that calls `wake(data)`, any number of times and from any thread, and `drop(data)` once.
    /// For what does not pass on the waker it was polled with.
    pub waker_new: Option<
        unsafe extern "C" fn(
            data: *mut c_void,
            wake: unsafe extern "C" fn(data: *mut c_void),
            drop: unsafe extern "C" fn(data: *mut c_void),
        ) -> BmWaker,
    >,
    /// Registers a metric, or finds the one of the same name and labels. `RESULT_OK` with a handle that stays valid, or
    /// `RESULT_FAILED` with `error` set to a static text. May lock and allocate: for `init`, not for each request.
    pub metric_register: Option<
        unsafe extern "C" fn(metric: *const BmMetric, handle: *mut *const c_void, error: *mut BmSlice) -> u32,
    >,
    /// Adds to a counter. One atomic addition.
    pub metric_add: Option<unsafe extern "C" fn(handle: *const c_void, value: u64)>,
    /// Sets a gauge, or, where `relative` is not 0, adds to it.
    pub metric_set: Option<unsafe extern "C" fn(handle: *const c_void, value: f64, relative: u32)>,
    /// Adds a value to a histogram.
    pub metric_observe: Option<unsafe extern "C" fn(handle: *const c_void, value: f64)>,
    /// Calls `visit(visitor, text)` with the pieces of a text that lists every metric of the process, and those of the server
    /// that serves the request of `ctx`, in the format of Prometheus.
    pub metrics_text:
        Option<unsafe extern "C" fn(ctx: *const c_void, visit: BmTextVisitor, visitor: *mut c_void)>,
}

// SAFETY: the table is static data that nobody changes, and its functions may be called from any thread.
unsafe impl Send for BmHost {}
// SAFETY: as for `Send`.
unsafe impl Sync for BmHost {}
