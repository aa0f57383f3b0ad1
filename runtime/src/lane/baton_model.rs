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

/// Waits until the jobs that have run sum up, and for the runners to end.
fn end(
    baton: &Baton<usize>,
    ran: &AtomicUsize,
    sum: usize,
    runners: impl IntoIterator<Item = Option<loom::thread::JoinHandle<()>>>,
) {
    while ran.load(Ordering::Relaxed) != sum {
        loom::thread::yield_now();
    }
    assert!(baton.close().is_empty());
    for runner in runners.into_iter().flatten() {
        runner.join().unwrap();
    }
}

/// The watcher takes a baton away while its holder ends its job: still every job runs once.
fn hand_overs_lose_nothing(threads: usize, batons: usize, jobs: &'static [usize]) {
    let hand_overs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = hand_overs.clone();
    // Four threads: all interleavings with at most two preemptions.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let baton = Arc::new(Baton::new(8, threads, batons));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let post = |job: &usize| start(&baton, &ran, baton.post(now, *job).unwrap());
        let mut runners: Vec<_> = jobs.iter().map(post).collect();
        for next in baton.hand_over(&baton.stuck_in().unwrap_or_default()) {
            if next != Next::Done {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            runners.push(start(&baton, &ran, next));
        }
        baton.settle();
        end(&baton, &ran, jobs.iter().sum(), runners);
    });
    assert!(
        hand_overs.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "the model never came to the case it is about"
    );
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
        end(&baton, &ran, 11, [first]);
    });
}

#[test]
fn a_hand_over_that_races_with_the_end_of_the_job_loses_nothing() {
    hand_overs_lose_nothing(2, 1, &[1, 10]);
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
        end(&baton, &ran, 1011, runners);
    });
}

/// With a baton more after the hand-over, which is one too many again as soon as it is there.
#[test]
fn a_surplus_that_goes_loses_nothing() {
    hand_overs_lose_nothing(3, 1, &[1, 10, 1000]);
}

#[test]
fn hand_overs_of_two_batons_lose_nothing() {
    hand_overs_lose_nothing(3, 2, &[1, 10, 1000]);
}
