//! No wake-up is lost between those who post jobs and the runners: each burst of jobs has to be run by runners that were asleep.
//!
//! `SOAK=long` runs ten million jobs: `make soak`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bimetal_runtime::lane::{Batch, Limits, Mailbox, Refusal, Runners, Work};

const POSTERS: usize = 2;
/// A job that has not run by then never will.
const LOST: Duration = Duration::from_secs(60);

fn total() -> usize {
    if std::env::var("SOAK").is_ok_and(|soak| soak == "long") {
        10_000_000
    } else {
        100_000
    }
}

/// 1 to 64, in an order without a pattern that a scheduler could fall in step with.
fn bursts(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (state >> 58) as usize
    })
}

struct Jobs;

impl Work<Box<dyn FnOnce() + Send>> for Jobs {
    fn run(&self, batch: &mut Batch<'_, Box<dyn FnOnce() + Send>>) {
        while let Some(job) = batch.next() {
            job();
        }
    }

    fn refuse(&self, _job: Box<dyn FnOnce() + Send>, why: Refusal) {
        panic!("a job was refused: {why:?}");
    }
}

/// Posts jobs in bursts, each when the one before has run, and gives their number.
fn post_in_bursts(poster: usize, post: impl Fn(Box<dyn FnOnce() + Send>)) -> usize {
    let mut posted = 0;
    for burst in bursts(poster as u64) {
        if posted >= total() / POSTERS {
            break;
        }
        let left = Arc::new(AtomicUsize::new(burst));
        let (done, all_done) = channel();
        for _ in 0..burst {
            let (left, done) = (left.clone(), done.clone());
            post(Box::new(move || {
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let _ = done.send(());
                }
            }));
        }
        posted += burst;
        if let Err(error) = all_done.recv_timeout(LOST) {
            let left = left.load(Ordering::Acquire);
            assert_eq!(error, RecvTimeoutError::Timeout);
            panic!("{left} of {burst} jobs of a burst have not run, after {posted} jobs of this poster");
        }
    }
    posted
}

#[test]
fn runners_miss_no_job() {
    let runners = Runners::new("soak", Limits::default(), Jobs).unwrap();
    let posted: usize = thread::scope(|scope| {
        let runners = &runners;
        let posters: Vec<_> =
            (0..POSTERS).map(|n| scope.spawn(move || post_in_bursts(n, |job| runners.post(job)))).collect();
        posters.into_iter().map(|poster| poster.join().unwrap()).sum()
    });
    assert!(posted >= total());
    println!("{posted} jobs, none lost");
}

/// The event loop's side: a thread that sleeps until the bell of its mailbox rings.
#[test]
fn the_bell_of_a_mailbox_is_never_missed() {
    let (bell, ringing) = channel();
    let mailbox = Arc::new(Mailbox::<Option<Box<dyn FnOnce() + Send>>>::new(usize::MAX, move || {
        let _ = bell.send(());
    }));
    let own = mailbox.clone();
    let consumer = thread::spawn(move || loop {
        ringing.recv().unwrap();
        loop {
            while let Some(item) = own.take() {
                let Some(job) = item else { return };
                job();
            }
            if !own.rest() {
                break;
            }
        }
    });
    let posted: usize = thread::scope(|scope| {
        let mailbox = &mailbox;
        let posters: Vec<_> = (0..POSTERS)
            .map(|n| scope.spawn(move || post_in_bursts(n, |job| mailbox.post_anyway(Some(job)))))
            .collect();
        posters.into_iter().map(|poster| poster.join().unwrap()).sum()
    });
    mailbox.post_anyway(None);
    consumer.join().unwrap();
    assert!(posted >= total());
    println!("{posted} letters, none lost");
}
