//! Asynchronous handlers: futures of the plugin, wakers of the host.

use core::ffi::c_void;

use crate::BmResponse;

/// A future that a plugin made and the host polls, on one thread.
#[repr(C)]
#[derive(Debug)]
pub struct BmFuture {
    /// The plugin's.
    pub data: *mut c_void,
    /// Goes on. `RESULT_OK`: the response is written; `RESULT_PENDING`: the waker will be woken; `RESULT_PANIC`. After
    /// anything but `RESULT_PENDING` the host does not poll again. The waker is borrowed for the call: clone it to keep it.
    pub poll: Option<
        unsafe extern "C" fn(data: *mut c_void, waker: *const BmWaker, response: *mut BmResponse) -> u32,
    >,
    /// Called once, at the end or to cancel. Returns `RESULT_OK` or `RESULT_PANIC`.
    pub drop: Option<unsafe extern "C" fn(data: *mut c_void) -> u32>,
}

/// A waker of the host: two words that mean nothing to the plugin. Used through [`BmWakerVtable`] only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BmWaker {
    /// The host's.
    pub data: *const c_void,
    /// The host's.
    pub meta: *const c_void,
}

/// What can be done with a [`BmWaker`], from any thread.
#[repr(C)]
#[derive(Debug)]
pub struct BmWakerVtable {
    /// Another waker for the same future; owned: give it to `wake` or `drop` once.
    pub clone: unsafe extern "C" fn(waker: *const BmWaker) -> BmWaker,
    /// Wakes, and consumes the owned waker.
    pub wake: unsafe extern "C" fn(waker: BmWaker),
    /// Wakes.
    pub wake_by_ref: unsafe extern "C" fn(waker: *const BmWaker),
    /// Consumes the owned waker.
    pub drop: unsafe extern "C" fn(waker: BmWaker),
}
