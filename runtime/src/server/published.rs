//! The route table as the workers see it: published in one step, read without a lock or a shared count.
//!
//! Whoever replaces the table stores it and then raises its number. Each worker keeps a handle of its own; a request costs one
//! acquire load to see that the number is still the same, and a count that only its worker touches. Requests in flight keep the
//! handle they began with, so the last of them, on the last worker, is what lets an old table go: that is the whole drain.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

#[cfg(bimetal_loom)]
use loom::sync::{atomic::AtomicUsize, Arc, Mutex};
#[cfg(not(bimetal_loom))]
use std::sync::{atomic::AtomicUsize, Arc, Mutex};

/// What is served now.
pub(super) struct Published<T> {
    /// Raised after each replacement, within the lock.
    number: AtomicUsize,
    value: Mutex<T>,
}

impl<T: Clone> Published<T> {
    pub(super) fn new(value: T) -> Arc<Published<T>> {
        Arc::new(Published { number: AtomicUsize::new(0), value: Mutex::new(value) })
    }

    /// Replaces the value for everyone who looks from now on; gives the old one.
    pub(super) fn publish(&self, value: T) -> T {
        let mut current = self.value.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let old = std::mem::replace(&mut *current, value);
        self.number.fetch_add(1, Ordering::Release);
        old
    }

    /// The value, by way of the lock.
    pub(super) fn value(&self) -> T {
        self.numbered().1
    }

    fn numbered(&self) -> (usize, T) {
        let current = self.value.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        (self.number.load(Ordering::Relaxed), current.clone())
    }
}

/// One worker's handle of the published value.
pub(super) struct Cached<T> {
    published: Arc<Published<T>>,
    number: Cell<usize>,
    value: RefCell<Rc<T>>,
}

impl<T: Clone> Cached<T> {
    pub(super) fn new(published: Arc<Published<T>>) -> Cached<T> {
        let (number, value) = published.numbered();
        Cached { published, number: Cell::new(number), value: RefCell::new(Rc::new(value)) }
    }

    /// The value as it is now. Whoever keeps the result keeps the value.
    pub(super) fn current(&self) -> Rc<T> {
        if self.published.number.load(Ordering::Acquire) != self.number.get() {
            self.renew();
        }
        Rc::clone(&self.value.borrow())
    }

    /// Lets go of a value that has been replaced, also where no request comes to notice.
    #[cold]
    pub(super) fn renew(&self) {
        let (number, value) = self.published.numbered();
        if number == self.number.get() {
            return;
        }
        self.number.set(number);
        // Dropped after the cell is free again: it may be the last handle of what it holds.
        let _old = self.value.replace(Rc::new(value));
    }
}

#[cfg(all(test, bimetal_loom))]
#[path = "published_model.rs"]
mod model;
