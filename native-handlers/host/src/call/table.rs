//! The functions the host offers to plugins.

use std::ffi::c_void;
use std::mem;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::task::{RawWakerVTable, Wake, Waker};

use bimetal_abi::{
    BmHeaderVisitor, BmHost, BmResponse, BmSlice, BmWaker, BmWakerVtable, ABI_MINOR, CAP_CALL_ROUTE,
    CAP_DEADLINE, CAP_HEADERS, CAP_LOG, CAP_METRICS, CAP_RESPONSE_GROW, CAP_RESPONSE_STREAM,
    CAP_SERVER_STATE, CAP_SPAWN_BLOCKING, CAP_WAKER, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN,
    RESPONSE_LEASED, RESULT_ABSENT, RESULT_FAILED, RESULT_OK, RESULT_PANIC, SERVER_STARTING,
};

use super::frame::Context;
use super::lease::Lease;
use super::{clock, metric, task};

/// Every capability of this host.
pub(crate) const HOST_CAPS: u64 = CAP_HEADERS
    | CAP_RESPONSE_GROW
    | CAP_LOG
    | CAP_WAKER
    | CAP_SERVER_STATE
    | CAP_DEADLINE
    | CAP_SPAWN_BLOCKING
    | CAP_CALL_ROUTE
    | CAP_METRICS
    | CAP_RESPONSE_STREAM;

/// The one table every plugin gets.
pub(crate) static HOST: BmHost = BmHost {
    size: size_of::<BmHost>() as u32,
    abi_minor: ABI_MINOR,
    caps: HOST_CAPS,
    waker: &raw const WAKER,
    log: Some(log),
    header_get: Some(header_get),
    header_each: Some(header_each),
    response_grow: Some(response_grow),
    server_state: Some(server_state),
    now_ns: Some(clock::now),
    spawn_blocking: Some(task::spawn_blocking),
    call_route: Some(task::call_route),
    task_poll: Some(task::task_poll),
    task_wait: Some(task::task_wait),
    task_reply: Some(task::task_reply),
    task_drop: Some(task::task_drop),
    waker_new: Some(waker_new),
    metric_register: Some(metric::register),
    metric_add: Some(metric::add),
    metric_set: Some(metric::set),
    metric_observe: Some(metric::observe),
    metrics_text: Some(metric::text),
};

static WAKER: BmWakerVtable =
    BmWakerVtable { clone: waker_clone, wake: waker_wake, wake_by_ref: waker_wake_by_ref, drop: waker_drop };

/// A borrowed view of `waker` for a poll: its two words.
pub(super) fn borrow_waker(waker: &Waker) -> BmWaker {
    BmWaker { data: waker.data().cast(), meta: std::ptr::from_ref(waker.vtable()).cast() }
}

/// The waker behind the two words.
///
/// # Safety
///
/// The words come from [`borrow_waker`] or [`waker_clone`]. The result is owned: forget it where the words were borrowed.
unsafe fn to_waker(words: BmWaker) -> Waker {
    // SAFETY: data and table belong together, and the table of a waker is static.
    unsafe { Waker::new(words.data.cast(), &*words.meta.cast::<RawWakerVTable>()) }
}

/// The waker a plugin was given, without taking it.
///
/// # Safety
///
/// `waker` is one of the host's, and stays valid as long as the result is used.
pub(super) unsafe fn waker_behind(waker: *const BmWaker) -> mem::ManuallyDrop<Waker> {
    // SAFETY: by this function's contract; it is not dropped here.
    mem::ManuallyDrop::new(unsafe { to_waker(*waker) })
}

/// A plugin's way to be woken.
struct Woken {
    data: *mut c_void,
    wake: unsafe extern "C" fn(*mut c_void),
    drop: unsafe extern "C" fn(*mut c_void),
}

// SAFETY: the ABI lets both functions be called from any thread.
unsafe impl Send for Woken {}
// SAFETY: as for `Send`.
unsafe impl Sync for Woken {}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // SAFETY: the plugin's function with its own pointer, which is there until `drop`.
        unsafe { (self.wake)(self.data) };
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        // SAFETY: the plugin's function with its own pointer, called once, last.
        unsafe { (self.drop)(self.data) };
    }
}

unsafe extern "C" fn waker_new(
    data: *mut c_void,
    wake: unsafe extern "C" fn(*mut c_void),
    drop: unsafe extern "C" fn(*mut c_void),
) -> BmWaker {
    let woken = Woken { data, wake, drop };
    let made = catch_unwind(AssertUnwindSafe(|| {
        borrow_waker(&mem::ManuallyDrop::new(Waker::from(Arc::new(woken))))
    }));
    made.unwrap_or_else(|_| borrow_waker(Waker::noop()))
}

unsafe extern "C" fn waker_clone(waker: *const BmWaker) -> BmWaker {
    let clone = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin passes a waker it was given.
        let waker = unsafe { waker_behind(waker) };
        borrow_waker(&mem::ManuallyDrop::new(Waker::clone(&waker)))
    }));
    // A waker that wakes nobody, where the task's own clone panicked.
    clone.unwrap_or_else(|_| borrow_waker(Waker::noop()))
}

unsafe extern "C" fn waker_wake(waker: BmWaker) {
    // SAFETY: the plugin passes an owned waker and does not use it again.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { to_waker(waker) }.wake()));
}

unsafe extern "C" fn waker_wake_by_ref(waker: *const BmWaker) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as in `waker_clone`.
        unsafe { waker_behind(waker) }.wake_by_ref();
    }));
}

unsafe extern "C" fn waker_drop(waker: BmWaker) {
    // SAFETY: as in `waker_wake`.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { to_waker(waker) })));
}

unsafe extern "C" fn log(level: u32, target: BmSlice, message: BmSlice) {
    let _ = catch_unwind(|| {
        // SAFETY: the plugin passes slices that are valid during the call.
        let (target, message) =
            unsafe { (target.text().unwrap_or("plugin"), message.text().unwrap_or("(not text)")) };
        match level {
            LOG_ERROR => tracing::error!(plugin = target, "{message}"),
            LOG_WARN => tracing::warn!(plugin = target, "{message}"),
            LOG_INFO => tracing::info!(plugin = target, "{message}"),
            LOG_DEBUG => tracing::debug!(plugin = target, "{message}"),
            _ => tracing::trace!(plugin = target, "{message}"),
        }
    });
}

unsafe extern "C" fn header_get(ctx: *const c_void, name: BmSlice, value: *mut BmSlice) -> u32 {
    let found = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is that of a request that is still borrowed, `name` is valid during the call.
        let (context, name) = unsafe { (ctx.cast::<Context<'_>>().as_ref()?, name.text()?) };
        context.source.header(name).map(BmSlice::borrow)
    }));
    match found {
        Ok(Some(found)) => {
            // SAFETY: the plugin passes a place for the result.
            unsafe { value.write(found) };
            RESULT_OK
        }
        Ok(None) => RESULT_ABSENT,
        Err(_) => RESULT_PANIC,
    }
}

unsafe extern "C" fn header_each(ctx: *const c_void, visit: BmHeaderVisitor, visitor: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as in `header_get`.
        let Some(context) = (unsafe { ctx.cast::<Context<'_>>().as_ref() }) else { return };
        context.source.for_each_header(|name, value| {
            // SAFETY: the plugin's function with its own pointer; the slices are valid during the call.
            unsafe { visit(visitor, BmSlice::borrow_str(name), BmSlice::borrow(value)) };
        });
    }));
}

unsafe extern "C" fn response_grow(response: *mut BmResponse, min_cap: usize) -> u32 {
    let grown = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin passes the response of the running call, whose lease nobody else uses meanwhile.
        let response = unsafe { response.as_mut() }?;
        if response.kind != RESPONSE_LEASED || response.len > response.cap {
            return None;
        }
        // SAFETY: set by `Lease::response`; the lease outlives the call.
        let lease = unsafe { response.lease.cast::<Lease>().as_mut() }?;
        // SAFETY: `len` bytes are written: the plugin says so.
        (response.buf, response.cap) = unsafe { lease.grow(response.len, min_cap) }?;
        Some(())
    }));
    match grown {
        Ok(Some(())) => RESULT_OK,
        Ok(None) => RESULT_FAILED,
        Err(_) => RESULT_PANIC,
    }
}

unsafe extern "C" fn server_state(ctx: *const c_void) -> u32 {
    // SAFETY: `ctx` is that of a request that is still borrowed.
    match unsafe { ctx.cast::<Context<'_>>().as_ref() } {
        Some(context) => context.server_state() as u32,
        None => SERVER_STARTING,
    }
}
