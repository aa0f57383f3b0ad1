//! The request a thread is at work for: what services of the host that have no argument for it go by.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

thread_local! {
    static CURRENT: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

/// Puts back what was there, also after a panic.
struct Restore(*const c_void);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `step` for the request of `ctx`, which is borrowed from the host meanwhile.
pub(crate) fn within<R>(ctx: *const c_void, step: impl FnOnce() -> R) -> R {
    let _restore = Restore(CURRENT.replace(ctx));
    step()
}

/// The context of the request this thread is at work for. It is borrowed as long as the caller does not return to the host.
pub(crate) fn context() -> Option<*const c_void> {
    Some(CURRENT.get()).filter(|ctx| !ctx.is_null())
}
