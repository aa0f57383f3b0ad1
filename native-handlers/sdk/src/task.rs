//! Work the host does for this plugin, owned.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use bimetal_abi::{BmReply, BmSlice, CALL_STOPPED, RESULT_FAILED, RESULT_OK, RESULT_PENDING};

use crate::{host, waker};

/// A task of the host's.
pub(crate) struct Task(NonNull<c_void>);

// SAFETY: the host's tasks may be used from any thread, by one at a time; everything but dropping takes `&mut`.
unsafe impl Send for Task {}

impl Task {
    /// The task that a function of the host has put into `place`.
    pub(crate) fn new(place: *mut c_void) -> Option<Task> {
        NonNull::new(place).map(Task)
    }

    /// How it has ended, as one of the ABI's results.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<u32> {
        let Some(poll) = host::table().and_then(|host| host.task_poll) else {
            return Poll::Ready(RESULT_FAILED);
        };
        // SAFETY: the host's function with a task of its own that is not dropped, and a waker of its own.
        match waker::with_hosts(cx.waker(), |words| unsafe { poll(self.0.as_ptr(), words) }) {
            RESULT_PENDING => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    /// Waits for its end; `RESULT_PENDING` where that is not allowed.
    pub(crate) fn wait(&mut self) -> u32 {
        match host::table().and_then(|host| host.task_wait) {
            // SAFETY: the host's function with a task of its own that is not dropped.
            Some(wait) => unsafe { wait(self.0.as_ptr()) },
            None => RESULT_FAILED,
        }
    }

    /// What `read` makes of the reply to a call that has ended.
    pub(crate) fn reply<R>(&mut self, read: impl FnOnce(&BmReply) -> R) -> R {
        let mut reply = BmReply {
            size: size_of::<BmReply>() as u32,
            status: 0,
            failure: CALL_STOPPED,
            n_headers: 0,
            headers: std::ptr::null(),
            body: BmSlice::EMPTY,
            error: BmSlice::EMPTY,
        };
        if let Some(take) = host::table().and_then(|host| host.task_reply) {
            // SAFETY: the host's function with a task of its own that is not dropped; the place is for writing.
            if unsafe { take(self.0.as_ptr(), &mut reply) } != RESULT_OK {
                reply.failure = CALL_STOPPED;
            }
        }
        read(&reply)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(drop) = host::table().and_then(|host| host.task_drop) {
            // SAFETY: the host's function with a task of its own, which is given up once.
            unsafe { drop(self.0.as_ptr()) };
        }
    }
}
