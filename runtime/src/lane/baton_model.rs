//! loom models of the hand-over: every job runs exactly once, and no runner sleeps while a job waits.

use std::time::Instant;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::Arc;

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
        let baton = Arc::new(Baton::new(8, 1));
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
        let baton = Arc::new(Baton::new(8, 2));
        let ran = Arc::new(AtomicUsize::new(0));
        let now = Instant::now();
        let mut runners = vec![start(&baton, &ran, baton.post(now, 1).unwrap())];
        runners.push(start(&baton, &ran, baton.post(now, 10).unwrap()));
        if let Some(job) = baton.stuck_in() {
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
