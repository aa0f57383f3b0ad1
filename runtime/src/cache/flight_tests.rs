use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{Boarding, Brought, Flights, Key, Leader, Outcome, Waiting, MAX_FAILURES};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn key() -> Key {
    Key::from(*b"key")
}

fn board(flights: &Flights<u8>) -> Boarding<u8> {
    flights.board(&key(), 0, |_| true)
}

fn lead(flights: &Flights<u8>) -> Leader<u8> {
    match board(flights) {
        Boarding::Lead(leader) => leader,
        Boarding::Wait(_) => panic!("somebody leads already"),
    }
}

fn wait(flights: &Flights<u8>) -> Waiting<u8> {
    match board(flights) {
        Boarding::Lead(_) => panic!("nobody leads"),
        Boarding::Wait(waiting) => waiting,
    }
}

fn poll(waiting: &mut Waiting<u8>) -> (Poll<Outcome<u8>>, Arc<Woken>) {
    let woken = Arc::<Woken>::default();
    let polled = Pin::new(waiting).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken))));
    (polled, woken)
}

fn brought(waiting: &mut Waiting<u8>) -> Brought<u8> {
    match poll(waiting).0 {
        Poll::Ready(Outcome::Ended(brought)) => brought,
        Poll::Ready(Outcome::Lead(_)) => panic!("it leads"),
        Poll::Pending => panic!("it waits"),
    }
}

fn took_over(waiting: &mut Waiting<u8>) -> Leader<u8> {
    match poll(waiting).0 {
        Poll::Ready(Outcome::Lead(leader)) => leader,
        Poll::Ready(Outcome::Ended(_)) => panic!("the flight has ended"),
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn all_get_what_the_leader_brings() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&flights)).collect();
    let (polled, woken) = poll(&mut waiting[0]);
    assert!(polled.is_pending());
    leader.end(&Brought::Landed(7));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    for waiting in &mut waiting {
        assert_eq!(brought(waiting), Brought::Landed(7));
    }
    assert_eq!(flights.len(), 0);
}

#[test]
fn the_one_that_has_waited_longest_takes_over() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let (mut first, mut second) = (wait(&flights), wait(&flights));
    let (_, woken) = poll(&mut first);
    drop(leader);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut second).0.is_pending());
    let leader = took_over(&mut first);
    leader.end(&Brought::Landed(1));
    assert_eq!(brought(&mut second), Brought::Landed(1));
}

#[test]
fn an_offer_that_is_dropped_is_passed_on() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let (first, mut second, third) = (wait(&flights), wait(&flights), wait(&flights));
    drop(leader);
    // Its client has gone away before it could take the lead.
    drop(first);
    let leader = took_over(&mut second);
    drop(third);
    drop(leader);
    assert_eq!(flights.len(), 0);
    drop(lead(&flights));
}

#[test]
fn who_comes_while_the_lead_is_offered_waits() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let mut first = wait(&flights);
    drop(leader);
    let mut late = wait(&flights);
    took_over(&mut first).end(&Brought::Landed(2));
    assert_eq!(brought(&mut late), Brought::Landed(2));
}

#[test]
fn after_some_failures_nobody_waits_for_another() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    let mut waiting: Vec<_> = (0..MAX_FAILURES + 2).map(|_| wait(&flights)).collect();
    for waiting in waiting.iter_mut().take(MAX_FAILURES as usize - 1) {
        leader.fail();
        leader = took_over(waiting);
    }
    leader.fail();
    for waiting in waiting.iter_mut().skip(MAX_FAILURES as usize - 1) {
        assert_eq!(brought(waiting), Brought::Alone);
    }
    assert_eq!(flights.len(), 0);
}

#[test]
fn a_panic_is_a_failure() {
    let flights = Flights::<u8>::new();
    let leader = lead(&flights);
    let mut waiting: Vec<_> = (0..2).map(|_| wait(&flights)).collect();
    let panicked = |leader: Leader<u8>| {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _leader = leader;
            panic!("the handler");
        }));
    };
    panicked(leader);
    panicked(took_over(&mut waiting[0]));
    panicked(took_over(&mut waiting[1]));
    assert_eq!(flights.len(), 0);
}

#[test]
fn nobody_waits_for_what_was_begun_before_an_invalidation() {
    let flights = Flights::<u8>::new();
    let old = lead(&flights);
    let mut waits_for_old = wait(&flights);
    let Boarding::Lead(new) = flights.board(&key(), 1, |stamp| stamp >= 1) else {
        panic!("it joined the old flight")
    };
    let Boarding::Wait(waiting) = flights.board(&key(), 1, |stamp| stamp >= 1) else { panic!("it leads") };
    let mut waits_for_new = pin!(waiting);
    old.end(&Brought::Landed(1));
    assert_eq!(brought(&mut waits_for_old), Brought::Landed(1));
    assert!(poll(&mut waits_for_new).0.is_pending());
    new.end(&Brought::Landed(2));
    assert_eq!(brought(&mut waits_for_new), Brought::Landed(2));
    assert_eq!(flights.len(), 0);
}
