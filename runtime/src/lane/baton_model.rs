//! loom models of the hand-over: every job runs exactly once, and no runner sleeps while a job waits.

use std::time::Instant;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::Arc;

use super::super::sync::{lock, Condvar, Mutex};
use super::{Baton, Next, Take, Wait};

fn start(
    baton: &Arc<Baton<usize>>,
    ran: &Arc<AtomicUsize>,
    next: Next,
) -> Option<loom::thread::JoinHandle<()>> {
    let Next::Start(runner) = next else { return None };
    let (baton, ran) = (baton.clone(), ran.clone());
    Some(loom::thread::spawn(move || {
        while baton.wait(runner, None) == Wait::Holds {
            while let Take::Job(_, job) = baton.take(runner) {
                ran.fetch_add(job, Ordering::Relaxed);
            }
        }
    }))
}

/// A job posted while the only runner goes idle is seen.
#[test]
fn a_job_posted_while_the_runner_goes_idle_runs() {
    loom::model(|| {
        let baton = Arc::new(Baton::new(8, 1, 1));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let first = start(&baton, &ran, baton.post(now, 1).unwrap());
        let second = start(&baton, &ran, baton.post(now, 10).unwrap());
        assert!(second.is_none(), "one runner at most");
        while ran.load(Ordering::Relaxed) != 11 {
            loom::thread::yield_now();
        }
        assert!(baton.close().is_empty());
        first.unwrap().join().unwrap();
    });
}

/// The watcher takes the baton away while the holder ends its job: still every job runs once.
#[test]
fn a_hand_over_that_races_with_the_end_of_the_job_loses_nothing() {
    static HAND_OVERS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    // Four threads: all interleavings with at most two preemptions.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let baton = Arc::new(Baton::new(8, 2, 1));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let mut runners = vec![start(&baton, &ran, baton.post(now, 1).unwrap())];
        runners.push(start(&baton, &ran, baton.post(now, 10).unwrap()));
        for job in baton.stuck_in() {
            let next = baton.hand_over(job);
            if next != Next::Done {
                HAND_OVERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            runners.push(start(&baton, &ran, next));
        }
        while ran.load(Ordering::Relaxed) != 11 {
            loom::thread::yield_now();
        }
        assert!(baton.close().is_empty());
        for runner in runners.into_iter().flatten() {
            runner.join().unwrap();
        }
    });
    assert!(
        HAND_OVERS.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "the model never came to the case it is about"
    );
}

/// A sum that threads sleep on until it is reached.
#[derive(Default)]
struct Ran(Mutex<usize>, Condvar);

impl Ran {
    fn add(&self, job: usize) {
        *lock(&self.0) += job;
        self.1.notify_all();
    }

    fn wait(&self, sum: usize) {
        let mut ran = lock(&self.0);
        while *ran < sum {
            ran = self.1.wait(ran).unwrap();
        }
    }
}

/// With two batons a job begins beside another, which ends only then: no watcher is needed for it.
#[test]
fn with_two_batons_a_job_runs_beside_another() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let baton = Arc::new(Baton::new(8, 2, 2));
        let ran = Arc::new(Ran::default());
        let now = Instant::now();
        let runners = [100, 10].map(|job| {
            let Next::Start(runner) = baton.post(now, job).unwrap() else { return None };
            let (baton, ran) = (baton.clone(), ran.clone());
            Some(loom::thread::spawn(move || {
                while baton.wait(runner, None) == Wait::Holds {
                    while let Take::Job(_, job) = baton.take(runner) {
                        ran.wait(if job == 100 { 10 } else { 0 });
                        ran.add(job);
                    }
                }
            }))
        });
        ran.wait(110);
        assert!(baton.close().is_empty());
        for runner in runners.into_iter().flatten() {
            runner.join().unwrap();
        }
    });
}

/// With two batons, too, a job posted while runners go idle is seen.
#[test]
fn a_job_posted_while_two_runners_go_idle_runs() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let baton = Arc::new(Baton::new(8, 2, 2));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let runners = [1, 10, 1000].map(|job| start(&baton, &ran, baton.post(now, job).unwrap()));
        while ran.load(Ordering::Relaxed) != 1011 {
            loom::thread::yield_now();
        }
        assert!(baton.close().is_empty());
        for runner in runners.into_iter().flatten() {
            runner.join().unwrap();
        }
    });
}

/// The watcher takes batons away while their holders end their jobs: still every job runs once.
#[test]
fn hand_overs_of_two_batons_lose_nothing() {
    static HAND_OVERS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let baton = Arc::new(Baton::new(8, 3, 2));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let mut runners =
            Vec::from([1, 10, 1000].map(|job| start(&baton, &ran, baton.post(now, job).unwrap())));
        for job in baton.stuck_in() {
            let next = baton.hand_over(job);
            if next != Next::Done {
                HAND_OVERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            runners.push(start(&baton, &ran, next));
        }
        while ran.load(Ordering::Relaxed) != 1011 {
            loom::thread::yield_now();
        }
        assert!(baton.close().is_empty());
        for runner in runners.into_iter().flatten() {
            runner.join().unwrap();
        }
    });
    assert!(
        HAND_OVERS.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "the model never came to the case it is about"
    );
}
