//! Requests of one key on three threads; the first to lead goes away, or the one that has the offer does. Were a hand-over lost,
//! somebody would wait for ever, which loom reports as a deadlock.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as Shared;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{Boarding, Brought, Flights, Key, Outcome};

struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Wake for Bell {
    fn wake(self: Shared<Self>) {
        *self.0 .0.lock().unwrap() = true;
        self.0 .1.notify_one();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new((Mutex::new(false), Condvar::new()));
    let waker = Waker::from(Shared::new(Bell(bell.clone())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = bell.0.lock().unwrap();
        while !*rung {
            rung = bell.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn key() -> Key {
    Key::from(*b"key")
}

/// One request: what it leads to, it brings; whether it called the handler.
fn ask(flights: &Flights<u8>) -> bool {
    match flights.board(&key(), 0, |_| true) {
        Boarding::Lead(leader) => {
            leader.end(&Brought::Landed(7));
            true
        }
        Boarding::Wait(waiting) => match block_on(waiting) {
            Outcome::Ended(brought) => {
                assert_eq!(brought, Brought::Landed(7));
                false
            }
            Outcome::Lead(leader) => {
                leader.end(&Brought::Landed(7));
                true
            }
        },
    }
}

#[test]
fn nobody_waits_for_ever_when_a_leader_goes_away() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let flights = Flights::new();
        let Boarding::Lead(leader) = flights.board(&key(), 0, |_| true) else { panic!("somebody leads") };
        let asking: Vec<_> = (0..2)
            .map(|_| {
                let flights = flights.clone();
                thread::spawn(move || ask(&flights))
            })
            .collect();
        drop(leader);
        let called = asking.into_iter().map(|asking| usize::from(asking.join().unwrap())).sum::<usize>();
        assert!(called >= 1);
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn an_offer_is_passed_on_whenever_its_owner_leaves() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let flights = Flights::new();
        let Boarding::Lead(leader) = flights.board(&key(), 0, |_| true) else { panic!("somebody leads") };
        let Boarding::Wait(leaving) = flights.board(&key(), 0, |_| true) else { panic!("nobody leads") };
        let staying = {
            let flights = flights.clone();
            thread::spawn(move || ask(&flights))
        };
        let leaves = thread::spawn(move || drop(leaving));
        drop(leader);
        leaves.join().unwrap();
        assert!(staying.join().unwrap());
        assert_eq!(flights.len(), 0);
    });
}
