use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::{find, Set, Table, WAYS};
use crate::limit::{Clock, Rate, Standing};

fn rate(requests: u32, seconds: u64, burst: u32) -> Rate {
    Rate::new(requests, Duration::from_secs(seconds), Some(burst)).unwrap()
}

/// As [`Table::take`], at a time of the test's choice.
fn take_at(set: &Set, rate: &Rate, client: u64, now: u64) -> Standing {
    let found = find(set, client);
    let (standing, whole) = rate.take(found.whole, now);
    assert!(!standing.allowed || found.replace(client, whole));
    standing
}

proptest! {
    /// With a slot for each, clients are counted as by a plain map.
    #[test]
    fn clients_with_slots_are_counted_exactly(
        steps in prop::collection::vec((1u64..=WAYS as u64, 0u64..3_000_000_000), 1..200),
        requests in 1u32..5, burst in 1u32..6,
    ) {
        let (rate, set) = (rate(requests, 2, burst), Set::default());
        let (mut plain, mut now) = (HashMap::new(), 1);
        for (client, pause) in steps {
            now += pause / 8;
            let whole = plain.entry(client).or_insert(0);
            let (standing, after) = rate.take(*whole, now);
            *whole = after;
            prop_assert_eq!(take_at(&set, &rate, client, now), standing);
        }
    }

    /// With more clients than slots, nobody gets more than the rate allows, and the table none the less answers.
    #[test]
    fn no_client_gets_more_than_its_rate(
        steps in prop::collection::vec((1u64..40, 0u64..1_000_000_000), 1..400),
        requests in 1u32..5, burst in 1u32..6,
    ) {
        let (rate, set) = (rate(requests, 2, burst), Set::default());
        let (mut plain, mut now) = (HashMap::new(), 1);
        for (client, pause) in steps {
            now += pause / 8;
            let whole = plain.entry(client).or_insert(0);
            let (due, after) = rate.take(*whole, now);
            if take_at(&set, &rate, client, now).allowed {
                prop_assert!(due.allowed, "client {client} at {now}");
                *whole = after;
            }
        }
    }
}

#[test]
fn threads_share_a_quota() {
    let table = Table::new(100);
    let rate = rate(500, 3600, 500);
    let allowed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    let client = table.hash("limit", b"somebody");
                    allowed.fetch_add(u64::from(table.take(&rate, client).allowed), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(allowed.into_inner(), 500);
}

#[test]
fn what_is_known_from_elsewhere_counts() {
    let table = Table::new(100);
    let rate = rate(2, 3600, 2);
    let client = table.hash("limit", b"somebody");
    table.note(client, u64::try_from(rate.window().as_nanos()).unwrap());
    assert!(!table.take(&rate, client).allowed);
    // What is less than that is no news.
    table.note(client, 1);
    assert!(!table.take(&rate, client).allowed);
    assert!(table.take(&rate, table.hash("limit", b"somebody else")).allowed);
    assert!(table.take(&rate, table.hash("another limit", b"somebody")).allowed);
}

#[test]
fn tables_in_the_same_memory_are_one() {
    let memory: &'static [Set] = Box::leak((0..9).map(|_| Set::default()).collect());
    memory[0].0[0].store(Table::random_seed(), Ordering::SeqCst);
    let table = || Table::shared(memory, Clock::starting_at(1000)).unwrap();
    let (one, other, rate) = (table(), table(), rate(3, 3600, 3));
    assert_eq!(one.hash("limit", b"a"), other.hash("limit", b"a"));
    let client = one.hash("limit", b"a");
    let allowed = [&one, &other, &one, &other].map(|table| table.take(&rate, client).allowed);
    assert_eq!(allowed, [true, true, true, false]);
    assert!(Table::shared(&memory[..1], Clock::starting_at(1)).is_none());
}

#[test]
fn a_million_clients_cost_nothing() {
    let table = Table::new(1000);
    let rate = rate(2, 3600, 2);
    let mut refused = 0;
    for number in 0..1_000_000u32 {
        let client = table.hash("limit", &number.to_ne_bytes());
        refused += u32::from(!table.take(&rate, client).allowed);
    }
    // All of them within a second or so of an hour's quota: once the table is full, they share what is left of it.
    assert!(refused > 990_000, "{refused}");
}
