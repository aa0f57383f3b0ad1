//! Many threads post, one thread collects, and the bell rings only when it has to.

use std::sync::atomic::Ordering;

use super::sync::{AtomicBool, Queue};

/// A bounded queue with a bell for its one consumer.
///
/// The bell (a write to a descriptor the consumer's event loop watches, say) rings once for everything posted
/// until the consumer [rests](Mailbox::rest), so a burst costs one wake, and a consumer at work none.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::sync::Arc;
/// use bimetal_runtime::lane::Mailbox;
///
/// let rings = Arc::new(AtomicUsize::new(0));
/// let bell = rings.clone();
/// let mailbox = Mailbox::new(16, move || { bell.fetch_add(1, Ordering::Relaxed); });
/// mailbox.post(1).unwrap();
/// mailbox.post(2).unwrap();
/// assert_eq!(rings.load(Ordering::Relaxed), 1);
///
/// assert_eq!(mailbox.take(), Some(1));
/// mailbox.post(3).unwrap();
/// assert_eq!((mailbox.take(), mailbox.take(), mailbox.take()), (Some(2), Some(3), None));
/// assert!(!mailbox.rest());
/// assert_eq!(rings.load(Ordering::Relaxed), 1);
/// ```
pub struct Mailbox<T> {
    queue: Queue<T>,
    rung: AtomicBool,
    limit: usize,
    bell: Box<dyn Fn() + Send + Sync>,
}

impl<T> Mailbox<T> {
    /// A mailbox for about `limit` items (posters racing at the limit may exceed it by one each).
    pub fn new(limit: usize, bell: impl Fn() + Send + Sync + 'static) -> Self {
        Mailbox { queue: Queue::new(), rung: AtomicBool::new(false), limit, bell: Box::new(bell) }
    }

    /// Posts an item and rings unless the bell has been rung already; gives the item back when the mailbox is full.
    pub fn post(&self, item: T) -> Result<(), T> {
        if self.queue.len() >= self.limit {
            return Err(item);
        }
        self.post_anyway(item);
        Ok(())
    }

    /// Posts past the limit: for what must not be lost, such as a wake-up of something that waits already.
    pub fn post_anyway(&self, item: T) {
        self.post_silently(item);
        self.ring();
    }

    /// The same without the bell: whoever posts so has to [ring](Mailbox::ring) afterwards.
    pub fn post_silently(&self, item: T) {
        self.queue.push(item);
    }

    /// Rings unless the bell has been rung already.
    pub fn ring(&self) {
        // Both sides swap, so the consumer's swap reads this one or one after it and sees the push before it.
        if !self.rung.swap(true, Ordering::AcqRel) {
            (self.bell)();
        }
    }

    /// The consumer has found the mailbox empty: whatever is posted from now on rings. True when something was posted before
    /// that and nobody will ring for it: then the consumer goes on as if the bell had been rung.
    #[must_use = "what was posted meanwhile would be left behind"]
    pub fn rest(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel);
        !self.queue.is_empty() && !self.rung.swap(true, Ordering::AcqRel)
    }

    /// The next item. One consumer only.
    pub fn take(&self) -> Option<T> {
        self.queue.pop()
    }

    /// How many items are posted, about.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is posted.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(all(test, bimetal_loom))]
mod model {
    use super::super::sync::{lock, Arc, Condvar, Mutex};
    use super::Mailbox;

    /// The consumer sleeps on the bell alone: were a wake lost, loom would report a deadlock.
    #[test]
    fn no_item_is_left_behind() {
        // All interleavings with at most four preemptions.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(4);
        model.check(|| {
            let bell = Arc::new((Mutex::new(false), Condvar::new()));
            let ringer = bell.clone();
            let mailbox = Arc::new(Mailbox::new(8, move || {
                *lock(&ringer.0) = true;
                ringer.1.notify_one();
            }));
            let posters: Vec<_> = (0..2)
                .map(|n| {
                    let mailbox = mailbox.clone();
                    loom::thread::spawn(move || mailbox.post(n).unwrap())
                })
                .collect();
            let mut seen = 0;
            while seen < 2 {
                let mut rung = lock(&bell.0);
                while !*rung {
                    rung = bell.1.wait(rung).unwrap();
                }
                *rung = false;
                drop(rung);
                loop {
                    while mailbox.take().is_some() {
                        seen += 1;
                    }
                    if !mailbox.rest() {
                        break;
                    }
                }
            }
            for poster in posters {
                poster.join().unwrap();
            }
        });
    }
}
