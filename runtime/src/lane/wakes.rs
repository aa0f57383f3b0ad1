//! How other threads wake the tasks of an I/O worker: gathered, so that a burst of answers costs one system call.
//!
//! A task's own waker interrupts the worker's event loop with a write each time it is used from another thread. A lane
//! that answers thirty requests in a row would write thirty times, to a worker that the first write has woken already.

use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::Mailbox;

/// No mailbox is this full: there are as many items as requests that wait.
const UNBOUNDED: usize = usize::MAX;

#[cfg(not(bimetal_loom))]
thread_local! {
    /// The wakes whose worker this thread is.
    static OWN: Cell<*const Wakes> = const { Cell::new(ptr::null()) };
}
#[cfg(bimetal_loom)]
loom::thread_local! {
    static OWN: Cell<*const Wakes> = Cell::new(ptr::null());
}

/// The wake-ups of one I/O worker's tasks by other threads.
pub(crate) struct Wakes {
    woken: Mailbox<Waker>,
    /// Of the task that [delivers](Wakes::deliver).
    postman: Arc<OnceLock<Waker>>,
}

impl Wakes {
    pub(crate) fn new() -> Arc<Wakes> {
        let postman = Arc::new(OnceLock::<Waker>::new());
        let bell = Arc::clone(&postman);
        let ring = move || {
            if let Some(waker) = bell.get() {
                waker.wake_by_ref();
            }
        };
        Arc::new(Wakes { woken: Mailbox::new(UNBOUNDED, ring), postman })
    }

    /// A waker for what `waker` wakes, a task of this worker: used on another thread, it takes part in the gathering.
    pub(crate) fn gathering(self: &Arc<Self>, waker: &Waker) -> Waker {
        Waker::from(Arc::new(Gathering { waker: waker.clone(), wakes: Arc::downgrade(self) }))
    }

    /// Passes on what has been gathered. Polled by a task of the worker that is there before any other; never ready.
    pub(crate) fn deliver(&self, cx: &mut Context<'_>) -> Poll<()> {
        OWN.with(|own| own.set(ptr::from_ref(self)));
        self.postman.get_or_init(|| cx.waker().clone());
        if self.pass_on() {
            // More may come while those that have been woken run. Nobody needs to ring for it: the bell stays rung.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.woken.answer();
        if !self.woken.is_empty() {
            self.woken.ring();
        }
        Poll::Pending
    }

    fn pass_on(&self) -> bool {
        let mut any = false;
        while let Some(waker) = self.woken.take() {
            waker.wake();
            any = true;
        }
        any
    }
}

/// What stands in for a task's waker.
struct Gathering {
    waker: Waker,
    /// Weak, or a task that ends with its worker would keep what keeps it.
    wakes: Weak<Wakes>,
}

impl Wake for Gathering {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !OWN.with(|own| ptr::eq(own.get(), self.wakes.as_ptr())) {
            if let Some(wakes) = self.wakes.upgrade() {
                return wakes.woken.post_anyway(self.waker.clone());
            }
        }
        // On the worker itself, where a wake-up costs no system call, or after its end.
        self.waker.wake_by_ref();
    }
}

#[cfg(all(test, not(bimetal_loom)))]
#[path = "wakes_tests.rs"]
mod tests;

#[cfg(all(test, bimetal_loom))]
#[path = "wakes_model.rs"]
mod model;
