//! The table with loom's eyes: several threads count for the same new clients, in every order.

use std::sync::atomic::Ordering;

use loom::sync::Mutex;

/// What the processor does with 128 bits at a time, as loom can see it.
pub(super) struct AtomicU128(Mutex<u128>);

impl AtomicU128 {
    pub(super) fn new(value: u128) -> Self {
        AtomicU128(Mutex::new(value))
    }

    pub(super) fn load(&self, _: Ordering) -> u128 {
        *self.0.lock().unwrap()
    }

    pub(super) fn compare_exchange(
        &self,
        current: u128,
        new: u128,
        _: Ordering,
        _: Ordering,
    ) -> Result<u128, u128> {
        let mut value = self.0.lock().unwrap();
        if *value != current {
            return Err(*value);
        }
        *value = new;
        Ok(current)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loom::sync::Arc;

    use super::super::{find, split, Set};
    use crate::limit::Rate;

    /// One request, at a time that the thread has read before: others may be ahead of it.
    fn take(set: &Set, rate: &Rate, client: u64, now: u64) -> bool {
        loop {
            let found = find(set, client);
            let (standing, whole) = rate.take(found.whole, now);
            if !standing.allowed || found.replace(client, whole) {
                return standing.allowed;
            }
        }
    }

    fn model(check: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(check);
    }

    #[test]
    fn a_new_client_gets_one_slot_and_no_request_too_many() {
        model(|| {
            let rate = Rate::new(2, Duration::from_secs(60), None).unwrap();
            let set = Arc::new(Set::default());
            let others: Vec<_> = [100, 101]
                .into_iter()
                .map(|now| {
                    let set = set.clone();
                    loom::thread::spawn(move || take(&set, &rate, 7, now))
                })
                .collect();
            let own = take(&set, &rate, 7, 102);
            let allowed = others.into_iter().map(|other| other.join().unwrap()).chain([own]);
            // Who has read the clock before others have been counted may find nothing left.
            let allowed = allowed.filter(|allowed| *allowed).count();
            assert!((1..=2).contains(&allowed), "{allowed}");
            let slots = set.0.iter().map(|slot| split(slot.load(super::Ordering::SeqCst)).0);
            assert_eq!(slots.filter(|owner| *owner == 7).count(), 1);
        });
    }

    /// The slot that the client would take becomes another one's meanwhile.
    #[test]
    fn clients_that_come_at_once_do_not_count_for_each_other() {
        model(|| {
            let rate = Rate::new(1, Duration::from_secs(60), None).unwrap();
            let set = Arc::new(Set::default());
            let spawn = |client, now| {
                let set = set.clone();
                loom::thread::spawn(move || take(&set, &rate, client, now))
            };
            let (first, other) = (spawn(7, 100), spawn(8, 99));
            let own = take(&set, &rate, 7, 98);
            let first = first.join().unwrap();
            assert!(other.join().unwrap());
            assert!(first != own, "one of the two is answered");
        });
    }
}
