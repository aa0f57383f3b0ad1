//! The host's wakers as Rust's.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use bimetal_abi::{BmWaker, BmWakerVtable};

use crate::host;

fn vtable() -> Option<&'static BmWakerVtable> {
    // SAFETY: the host's table is static, and so is what it points to.
    unsafe { host::table()?.waker.as_ref() }
}

/// Runs `poll` with a waker that borrows the host's: nothing is allocated unless it is cloned.
pub(crate) fn with_borrowed<R>(words: *const BmWaker, poll: impl FnOnce(&Waker) -> R) -> R {
    // SAFETY: the table's functions take the pointer it is made with, and dropping it does nothing.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(words.cast(), &BORROWED)) });
    poll(&waker)
}

/// Runs `poll` with a waker of the host's that wakes `waker`: the very one, where that is what it is.
pub(crate) fn with_hosts<R>(waker: &Waker, poll: impl FnOnce(*const BmWaker) -> R) -> R {
    if ptr::eq(waker.vtable(), &BORROWED) {
        return poll(waker.data().cast());
    }
    let words = match (host::table().and_then(|host| host.waker_new), vtable()) {
        (Some(make), Some(vtable)) => {
            let data = Box::into_raw(Box::new(waker.clone())).cast();
            // SAFETY: the host's function; the two functions take the pointer they come with.
            Some((unsafe { make(data, wake_own, drop_own) }, vtable))
        }
        _ => None,
    };
    // A host that has tasks has both: there is nothing to wait for where it has not.
    let Some((words, vtable)) = words else { return poll(ptr::null()) };
    let result = poll(&words);
    // SAFETY: owned, and not used again.
    unsafe { (vtable.drop)(words) };
    result
}

unsafe extern "C" fn wake_own(data: *mut c_void) {
    // SAFETY: made by `with_hosts`, and there until `drop_own`.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { &*data.cast::<Waker>() }.wake_by_ref()));
}

unsafe extern "C" fn drop_own(data: *mut c_void) {
    // SAFETY: made by `with_hosts`; the host calls this once, last.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(data.cast::<Waker>()) })));
}

/// A waker of the host's that this side owns.
struct Owned(BmWaker);

// SAFETY: the host's wakers may be used from any thread.
unsafe impl Send for Owned {}
// SAFETY: as for `Send`.
unsafe impl Sync for Owned {}

impl std::task::Wake for Owned {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(vtable) = vtable() {
            // SAFETY: the host's function with its own words, owned here.
            unsafe { (vtable.wake_by_ref)(&self.0) };
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(vtable) = vtable() {
            // SAFETY: owned, and not used again.
            unsafe { (vtable.drop)(self.0) };
        }
    }
}

static BORROWED: RawWakerVTable = RawWakerVTable::new(borrowed_clone, borrowed_wake, borrowed_wake, |_| {});

unsafe fn borrowed_clone(words: *const ()) -> RawWaker {
    let waker = match vtable() {
        // SAFETY: the words are borrowed for the poll in which this is called.
        Some(vtable) => Waker::from(Arc::new(Owned(unsafe { (vtable.clone)(words.cast()) }))),
        None => Waker::noop().clone(),
    };
    let waker = ManuallyDrop::new(waker);
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn borrowed_wake(words: *const ()) {
    if let Some(vtable) = vtable() {
        // SAFETY: as in `borrowed_clone`.
        unsafe { (vtable.wake_by_ref)(words.cast()) };
    }
}
