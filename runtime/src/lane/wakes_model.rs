//! Two threads, one of them in a burst, wake tasks of a worker that sleeps on its bell alone: were a wake-up lost, loom would
//! report a deadlock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc as Shared;
use std::task::{Context, Wake, Waker};

use super::super::sync::{lock, Arc, Condvar, Mutex};
use super::{Burst, Wakes};

/// The worker's event loop: whether the postman is to run.
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Wake for Bell {
    fn wake(self: Shared<Self>) {
        *lock(&self.0 .0) = true;
        self.0 .1.notify_one();
    }
}

#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Shared<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn every_wake_up_is_delivered() {
    loom::model(|| {
        let bell = Arc::new((Mutex::new(false), Condvar::new()));
        let postman = Waker::from(Shared::new(Bell(bell.clone())));
        let (wakes, task) = (Wakes::new(), Shared::<Task>::default());
        let _ = wakes.deliver(&mut Context::from_waker(&postman));
        let wakers: Vec<_> = (0..2)
            .map(|thread| {
                let waker = wakes.gathering(&Waker::from(task.clone()));
                loom::thread::spawn(move || {
                    let _burst = (thread == 0).then(Burst::begin);
                    waker.wake();
                })
            })
            .collect();
        while task.0.load(Ordering::SeqCst) < 2 {
            let mut rung = lock(&bell.0);
            while !*rung {
                rung = bell.1.wait(rung).unwrap();
            }
            *rung = false;
            drop(rung);
            let _ = wakes.deliver(&mut Context::from_waker(&postman));
        }
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}
