//! One request of many calls the handler, and the others wait for what it brings.
//!
//! The request that leads has a [`Leader`], the others a [`Waiting`]. A leader that ends without an answer, because its
//! handler failed or its client has gone away, leaves the lead to the one that has waited longest; it is offered, and who drops an
//! offer passes it on. So as long as somebody waits, somebody leads or has the offer.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as Shared;
use std::task::{Context, Poll, Waker};

#[cfg(bimetal_loom)]
use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(bimetal_loom))]
use std::sync::{Arc, Mutex, MutexGuard};

/// What flights are told apart by.
pub(super) type Key = Shared<[u8]>;

/// After so many failures one after the other nobody waits for the next one.
const MAX_FAILURES: u32 = 3;

/// All flights of a store. Clones share.
pub(super) struct Flights<T> {
    aloft: Arc<Mutex<HashMap<Key, Arc<Flight<T>>>>>,
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Flights { aloft: Arc::clone(&self.aloft) }
    }
}

struct Flight<T> {
    key: Key,
    /// When it began, in stamps: who comes after an invalidation does not wait for what was begun before.
    stamp: u64,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Nobody can join any more.
    over: bool,
    failures: u32,
    seats: VecDeque<Arc<Seat<T>>>,
}

/// Where one request waits.
struct Seat<T> {
    place: Mutex<Place<T>>,
}

enum Place<T> {
    Waiting(Option<Waker>),
    /// The lead is this one's to take.
    Offered,
    /// What the flight has brought.
    Ended(Brought<T>),
    /// Nobody is here any more.
    Left,
}

/// What a flight brings to those who wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brought<T> {
    /// This, for all.
    Landed(T),
    /// Nothing that others can use: each calls the handler itself.
    Alone,
}

/// What has come of waiting.
pub(super) enum Outcome<T: Clone> {
    /// The flight has ended.
    Ended(Brought<T>),
    /// The lead has come to this request.
    Lead(Leader<T>),
}

/// What a request is in the flight of its key.
pub(super) enum Boarding<T: Clone> {
    /// The one that calls the handler.
    Lead(Leader<T>),
    /// One of those that wait.
    Wait(Waiting<T>),
}

impl<T: Clone> Flights<T> {
    pub(super) fn new() -> Flights<T> {
        Flights { aloft: Arc::new(Mutex::new(HashMap::new())) }
    }

    /// Takes part in the flight of `key`, or begins one with `stamp` where there is none, or none whose stamp `is_valid`.
    pub(super) fn board(&self, key: &Key, stamp: u64, is_valid: impl FnOnce(u64) -> bool) -> Boarding<T> {
        let mut aloft = lock(&self.aloft);
        if let Some(flight) = aloft.get(key).filter(|flight| is_valid(flight.stamp)) {
            let mut state = lock(&flight.state);
            if !state.over {
                let seat = Arc::new(Seat { place: Mutex::new(Place::Waiting(None)) });
                state.seats.push_back(Arc::clone(&seat));
                drop(state);
                return Boarding::Wait(Waiting { flights: self.clone(), flight: Arc::clone(flight), seat });
            }
        }
        let state = State { over: false, failures: 0, seats: VecDeque::new() };
        let flight = Arc::new(Flight { key: key.clone(), stamp, state: Mutex::new(state) });
        aloft.insert(key.clone(), Arc::clone(&flight));
        Boarding::Lead(Leader { flights: self.clone(), flight, failed: false, is_over: false })
    }

    /// Flights that have not ended.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.aloft).len()
    }

    /// Nobody finds this flight any more.
    fn forget(&self, flight: &Arc<Flight<T>>) {
        let mut aloft = lock(&self.aloft);
        // Another one may have taken its place.
        if aloft.get(&flight.key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            aloft.remove(&flight.key);
        }
    }

    /// Ends the flight, with this for everyone who waits.
    fn end(&self, flight: &Arc<Flight<T>>, brought: &Brought<T>) {
        let seats = {
            let mut state = lock(&flight.state);
            state.over = true;
            std::mem::take(&mut state.seats)
        };
        self.forget(flight);
        for seat in seats {
            seat.settle(Place::Ended(brought.clone()));
        }
    }

    /// Leaves the lead to the next, if there is one.
    fn hand_over(&self, flight: &Arc<Flight<T>>, failed: bool) {
        let mut state = lock(&flight.state);
        state.failures += u32::from(failed);
        if state.failures >= MAX_FAILURES {
            drop(state);
            self.end(flight, &Brought::Alone);
            return;
        }
        while let Some(seat) = state.seats.pop_front() {
            drop(state);
            if seat.settle(Place::Offered) {
                return;
            }
            state = lock(&flight.state);
        }
        state.over = true;
        drop(state);
        self.forget(flight);
    }
}

impl<T> Seat<T> {
    /// Tells who sits here; whether somebody does. Who leaves later than that finds it, and passes an offer on.
    fn settle(&self, settled: Place<T>) -> bool {
        let mut place = lock(&self.place);
        if matches!(*place, Place::Left) {
            return false;
        }
        let before = std::mem::replace(&mut *place, settled);
        drop(place);
        if let Place::Waiting(Some(waker)) = before {
            waker.wake();
        }
        true
    }
}

/// Calls the handler for all who wait. Dropped, it leaves the lead to the next.
pub(super) struct Leader<T: Clone> {
    flights: Flights<T>,
    flight: Arc<Flight<T>>,
    failed: bool,
    is_over: bool,
}

impl<T: Clone> Leader<T> {
    /// The handler has brought this, for all who wait, or nothing that they can use.
    pub(super) fn end(mut self, brought: &Brought<T>) {
        self.is_over = true;
        self.flights.end(&self.flight, brought);
    }

    /// The handler has failed: the next one may try.
    pub(super) fn fail(mut self) {
        self.failed = true;
    }
}

impl<T: Clone> Drop for Leader<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.flights.hand_over(&self.flight, self.failed || std::thread::panicking());
        }
    }
}

/// Waits for what the leader brings, or for the lead.
pub(super) struct Waiting<T: Clone> {
    flights: Flights<T>,
    flight: Arc<Flight<T>>,
    seat: Arc<Seat<T>>,
}

impl<T: Clone> Future for Waiting<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        let mut place = lock(&self.seat.place);
        match std::mem::replace(&mut *place, Place::Left) {
            Place::Waiting(_) => {
                *place = Place::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            Place::Offered => Poll::Ready(Outcome::Lead(Leader {
                flights: self.flights.clone(),
                flight: Arc::clone(&self.flight),
                failed: false,
                is_over: false,
            })),
            Place::Ended(brought) => Poll::Ready(Outcome::Ended(brought)),
            // Nobody polls a future that is done.
            Place::Left => Poll::Pending,
        }
    }
}

impl<T: Clone> Drop for Waiting<T> {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *lock(&self.seat.place), Place::Left);
        match before {
            Place::Offered => self.flights.hand_over(&self.flight, false),
            Place::Waiting(_) => {
                let mut state = lock(&self.flight.state);
                state.seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
            }
            Place::Ended(_) | Place::Left => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(all(test, not(bimetal_loom)))]
#[path = "flight_tests.rs"]
mod tests;

#[cfg(all(test, bimetal_loom))]
#[path = "flight_model.rs"]
mod model;
