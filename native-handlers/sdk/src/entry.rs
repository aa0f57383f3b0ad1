//! The functions the host calls. Each catches panics: none may unwind into another library.

use std::any::Any;
use std::ffi::c_void;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bimetal_abi::{
    BmFuture, BmHost, BmInit, BmRequest, BmResponse, BmSlice, BmWaker, RESULT_FAILED, RESULT_OK,
    RESULT_PANIC, RESULT_PENDING,
};

use crate::describe::Slot;
use crate::extract::{reject, Rejection};
use crate::registry::HandlerData;
use crate::request::AnyState;
use crate::response::{IntoResponse, ResponseWriter};
use crate::{current, host, panics, runtime, waker, Request};

/// A sync or blocking handler, as `#[native_handler]` writes it.
pub trait SyncHandler: 'static {
    /// Reads the arguments, calls the function, writes what it returns.
    fn call(request: Request<'_>, slots: &[Slot], response: &mut ResponseWriter<'_>);
}

/// What an asynchronous handler ends with.
pub type Outcome<T> = Result<T, Vec<Option<Rejection>>>;

/// An asynchronous handler, as `#[native_handler]` writes it.
pub trait AsyncHandler: 'static {
    /// What the function returns.
    type Response: IntoResponse;
    /// The status code of responses that set none themselves.
    const STATUS: Option<u16> = None;
    /// The content type of streams that name none.
    const CONTENT_TYPE: Option<&'static str> = None;
    /// Reads the arguments and calls the function.
    fn start<'r>(
        request: Request<'r>,
        slots: &'r [Slot],
    ) -> impl Future<Output = Outcome<Self::Response>> + 'r;
}

/// `BmHandler::call` of a sync handler.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub unsafe extern "C" fn call<H: SyncHandler>(
    state: *mut c_void,
    data: *const c_void,
    request: *const BmRequest,
    response: *mut BmResponse,
) -> u32 {
    guard(|| {
        // SAFETY: the host's pointers are valid during the call, `data` is what the registry put into the table.
        let (request, data, mut response) = unsafe {
            (Request::new(request, state), &*data.cast::<HandlerData>(), ResponseWriter::new(response))
        };
        H::call(request, &data.slots, &mut response);
        RESULT_OK
    })
}

/// `BmHandler::call` of a blocking handler, which may use the host's services.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub unsafe extern "C" fn call_blocking<H: SyncHandler>(
    state: *mut c_void,
    data: *const c_void,
    request: *const BmRequest,
    response: *mut BmResponse,
) -> u32 {
    // SAFETY: the host's request is valid during the call.
    let ctx = unsafe { (*request).ctx };
    // SAFETY: the same contract.
    current::within(ctx, || unsafe { call::<H>(state, data, request, response) })
}

/// `BmHandler::start` of an asynchronous handler.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub unsafe extern "C" fn start<H: AsyncHandler>(
    state: *mut c_void,
    data: *const c_void,
    request: *const BmRequest,
    place: *mut c_void,
    out: *mut BmFuture,
) -> u32 {
    guard(|| {
        // SAFETY: the host keeps the request until the future is dropped, `data` is static.
        let (request, data) = unsafe { (Request::new(request, state), &*data.cast::<HandlerData>()) };
        let make = || runtime::within(|| H::start(request, &data.slots));
        // SAFETY: `place` has the size and alignment of this future, which the table names, and `out` is for writing.
        unsafe { settle::<H, _>(request.context(), make, place, out) };
        RESULT_OK
    })
}

/// Size and alignment of the handler's future.
pub fn future_layout<H: AsyncHandler>() -> (usize, usize) {
    fn of<'r, F>(_start: impl FnOnce(Request<'r>, &'r [Slot]) -> F) -> (usize, usize) {
        (size_of::<Placed<F>>(), align_of::<Placed<F>>())
    }
    of(H::start)
}

/// A handler's future, and the context of the request it works for.
struct Placed<F> {
    ctx: *const c_void,
    future: F,
}

/// Makes a future at its place.
///
/// # Safety
///
/// `place` has its size and alignment, `out` is for writing.
#[inline(always)]
unsafe fn settle<H: AsyncHandler, F: Future<Output = Outcome<H::Response>>>(
    ctx: *const c_void,
    make: impl FnOnce() -> F,
    place: *mut c_void,
    out: *mut BmFuture,
) {
    let placed = place.cast::<Placed<F>>();
    // SAFETY: by this function's contract.
    unsafe {
        (&raw mut (*placed).future).write(make());
        (&raw mut (*placed).ctx).write(ctx);
        out.write(BmFuture { data: place, poll: Some(poll::<H, F>), drop: Some(drop_future::<F>) });
    }
}

unsafe extern "C" fn poll<H: AsyncHandler, F: Future<Output = Outcome<H::Response>>>(
    data: *mut c_void,
    words: *const BmWaker,
    response: *mut BmResponse,
) -> u32 {
    guard(|| {
        // SAFETY: what `settle` placed there, which stays until `drop_future`.
        let placed = unsafe { &mut *data.cast::<Placed<F>>() };
        // SAFETY: it is not moved from there.
        let (ctx, future) = (placed.ctx, unsafe { Pin::new_unchecked(&mut placed.future) });
        let polled = waker::with_borrowed(words, |waker| {
            runtime::within(|| current::within(ctx, || future.poll(&mut Context::from_waker(waker))))
        });
        let Poll::Ready(outcome) = polled else { return RESULT_PENDING };
        // SAFETY: the host's pointer is valid during the call.
        let mut response = unsafe { ResponseWriter::new(response) };
        match outcome {
            Ok(value) => {
                if let Some(status) = H::STATUS {
                    response.set_status(status);
                }
                if let Some(content_type) = H::CONTENT_TYPE {
                    response.set_content_type(content_type);
                }
                value.into_response(&mut response);
            }
            Err(rejections) => reject(rejections, &mut response),
        }
        RESULT_OK
    })
}

unsafe extern "C" fn drop_future<F>(data: *mut c_void) -> u32 {
    guard(|| {
        // SAFETY: what `settle` placed there; the host calls this once, last.
        runtime::within(|| unsafe { data.cast::<Placed<F>>().drop_in_place() });
        RESULT_OK
    })
}

/// What a plugin's `init` gives: the state, or why there is none.
pub(crate) type InitFn = fn(&str) -> Result<AnyState, String>;

/// `BmPlugin::init`, for the `init` of a plugin.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub(crate) unsafe fn init(run: InitFn, host: *const BmHost, config: BmSlice, out: *mut BmInit) -> u32 {
    // SAFETY: the host passes its table.
    unsafe { host::set_table(host) };
    panics::log_from_now_on();
    runtime::acquire();
    // SAFETY: the text is valid during the call.
    let config = unsafe { config.text() }.unwrap_or_default();
    let (result, reason) = match catch_unwind(|| runtime::within(|| run(config))) {
        Ok(Ok(state)) => {
            // SAFETY: the host's place for the result.
            unsafe { (*out).state = Box::into_raw(Box::new(state)).cast() };
            return RESULT_OK;
        }
        Ok(Err(reason)) => (RESULT_FAILED, reason),
        Err(panic) => (RESULT_PANIC, panic_text(&*panic)),
    };
    let _ = catch_unwind(runtime::release);
    let reason = Box::new(reason);
    // SAFETY: the host's place for the result. The text lives until `release_text`.
    unsafe {
        (*out).error = BmSlice::borrow_str(&reason);
        (*out).error_owner = Box::into_raw(reason).cast();
        (*out).release_error = Some(release_text);
    }
    result
}

unsafe extern "C" fn release_text(owner: *mut c_void) {
    // SAFETY: made by `init`; the host calls this once.
    drop(unsafe { Box::from_raw(owner.cast::<String>()) });
}

/// `BmPlugin::retire`: drops the state, and ends the threads that are left.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub(crate) unsafe extern "C" fn retire(state: *mut c_void) -> u32 {
    guard(|| {
        if !state.is_null() {
            // SAFETY: made by `init`; the host calls this once, last.
            runtime::within(|| drop(unsafe { Box::from_raw(state.cast::<AnyState>()) }));
        }
        RESULT_OK
    })
    .max(guard(|| {
        runtime::release();
        RESULT_OK
    }))
}

/// The panic barrier. What a handler leaves half done is the handler's own: its state is shared as it is anyway.
pub(crate) fn guard(entry: impl FnOnce() -> u32) -> u32 {
    match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(result) => result,
        Err(panic) => {
            // A payload whose own drop code panics would otherwise get past the barrier.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
            RESULT_PANIC
        }
    }
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it gives no reason".to_owned())
}
