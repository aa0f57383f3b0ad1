//! The synchronisation primitives of the queues, replaced by loom's in a model run (`--cfg bimetal_loom`).

#[cfg(bimetal_loom)]
pub(super) use loom::sync::{atomic::AtomicBool, Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(bimetal_loom))]
pub(super) use std::sync::{atomic::AtomicBool, Arc, Condvar, Mutex, MutexGuard};

/// Locks, whatever a panicking holder left behind: every critical section here leaves the state whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(not(bimetal_loom))]
pub(super) type Queue<T> = crossbeam_queue::SegQueue<T>;

/// A queue loom can see through.
#[cfg(bimetal_loom)]
pub(super) struct Queue<T>(Mutex<std::collections::VecDeque<T>>);

#[cfg(bimetal_loom)]
impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue(Mutex::new(std::collections::VecDeque::new()))
    }
    pub(super) fn push(&self, item: T) {
        lock(&self.0).push_back(item);
    }
    pub(super) fn pop(&self) -> Option<T> {
        lock(&self.0).pop_front()
    }
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
