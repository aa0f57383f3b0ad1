//! The request a thread is at work for: what services of the host that have no argument for it go by.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

thread_local! {
    static CURRENT: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

/// Puts back what was there, also after a panic.
struct Restore<'a>(&'a Cell<*const c_void>, *const c_void);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `step` for the request of `ctx`, which is borrowed from the host meanwhile.
pub(crate) fn within<R>(ctx: *const c_void, step: impl FnOnce() -> R) -> R {
    // Looked up once: in a library that is a call.
    CURRENT.with(|current| {
        let _restore = Restore(current, current.replace(ctx));
        step()
    })
}

/// The context of the request this thread is at work for. It is borrowed as long as the caller does not return to the host.
pub(crate) fn context() -> Option<*const c_void> {
    Some(CURRENT.get()).filter(|ctx| !ctx.is_null())
}
