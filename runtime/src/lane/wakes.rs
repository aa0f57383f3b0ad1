//! How other threads wake the tasks of an I/O worker: gathered, so that a burst of answers costs one system call.
//!
//! A task's own waker interrupts the worker's event loop with a write each time it is used from another thread. A lane
//! that answers thirty requests in a row would write thirty times, to a worker that the first write has woken already. And
//! where the two share a core, the worker would take it from the lane with the first write, and go to sleep again before
//! the second: so a lane whose jobs are short makes a [`Burst`] of them.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
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
    /// In a burst, the workers that are to be woken at its end.
    static OWED: RefCell<Option<Vec<Arc<Wakes>>>> = const { RefCell::new(None) };
}
#[cfg(bimetal_loom)]
loom::thread_local! {
    static OWN: Cell<*const Wakes> = Cell::new(ptr::null());
    static OWED: RefCell<Option<Vec<Arc<Wakes>>>> = RefCell::new(None);
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
        // More may come while those that have been woken run. Nobody needs to ring for it: the bell stays rung.
        if self.pass_on() || self.woken.rest() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn post(self: &Arc<Self>, waker: Waker) {
        self.woken.post_silently(waker);
        let is_owed = OWED.with(|owed| match &mut *owed.borrow_mut() {
            Some(owed) => {
                if !owed.iter().any(|other| Arc::ptr_eq(other, self)) {
                    owed.push(Arc::clone(self));
                }
                true
            }
            None => false,
        });
        if !is_owed {
            self.woken.ring();
        }
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
                return wakes.post(self.waker.clone());
            }
        }
        // On the worker itself, where a wake-up costs no system call, or after its end.
        self.waker.wake_by_ref();
    }
}

/// For as long as it exists, the wake-ups of I/O workers by its thread are held back: at its end each worker is woken once.
///
/// The answers of a burst wait for its last job, so that it should be short. One that begins within another ends with it.
///
/// ```
/// use bimetal_runtime::lane::Burst;
///
/// let burst = Burst::begin();
/// // Answers requests. More of them will follow at once:
/// burst.keep();
/// // Answers those.
/// Burst::end();
/// ```
pub struct Burst {
    is_outermost: bool,
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

impl Burst {
    /// Holds the wake-ups back from now on.
    #[must_use = "it ends when it is dropped"]
    pub fn begin() -> Burst {
        let is_outermost = OWED.with(|owed| {
            let mut owed = owed.borrow_mut();
            let is_outermost = owed.is_none();
            owed.get_or_insert_with(Vec::new);
            is_outermost
        });
        Burst { is_outermost, _here: PhantomData }
    }
}

impl Burst {
    /// Whether its end is that of the burst, and some worker waits for it.
    pub fn is_awaited(&self) -> bool {
        self.is_outermost && OWED.with(|owed| owed.borrow().as_ref().is_some_and(|owed| !owed.is_empty()))
    }

    /// Goes on until [`Burst::end`] is called on this thread, which the caller sees to.
    pub fn keep(mut self) {
        self.is_outermost = false;
    }

    /// Wakes those that wait for the end of this thread's burst, if it is in one, which goes on.
    pub fn flush() {
        let owed = OWED.with(|owed| owed.borrow_mut().as_mut().map(std::mem::take));
        ring(owed);
    }

    /// Ends the burst of this thread, if it is in one.
    pub fn end() {
        let owed = OWED.with(|owed| owed.borrow_mut().take());
        ring(owed);
    }
}

fn ring(owed: Option<Vec<Arc<Wakes>>>) {
    for wakes in owed.into_iter().flatten() {
        wakes.woken.ring();
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        if self.is_outermost {
            Burst::end();
        }
    }
}

#[cfg(all(test, not(bimetal_loom)))]
#[path = "wakes_tests.rs"]
mod tests;

#[cfg(all(test, bimetal_loom))]
#[path = "wakes_model.rs"]
mod model;
