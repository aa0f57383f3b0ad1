//! The batons without threads: what a watcher and runners would do, in turns.

use std::time::Instant;

use super::{Baton, Next, Take};

/// Lets every holder take a job; how many did.
fn begin(baton: &Baton<u32>, holders: &mut Vec<usize>) -> usize {
    holders.drain(..).filter(|runner| matches!(baton.take(*runner), Take::Job(..))).count()
}

fn started(next: Next) -> Option<usize> {
    match next {
        Next::Start(runner) => Some(runner),
        Next::Done => None,
    }
}

/// Passes on the baton of every holder that is in a job; who holds one then.
fn look(baton: &Baton<u32>) -> Vec<usize> {
    baton.hand_over(&baton.stuck_in().unwrap_or_default()).into_iter().filter_map(started).collect()
}

#[test]
fn a_row_of_jobs_that_stall_is_begun_in_few_looks() {
    const JOBS: u32 = 100;
    let baton = Baton::new(1000, 1000, 1);
    let posted = (0..JOBS).filter_map(|job| started(baton.post(Instant::now(), job).unwrap()));
    let mut holders: Vec<usize> = posted.collect();
    assert_eq!(holders.len(), 1);
    let mut begun = begin(&baton, &mut holders);
    let mut looks = 0;
    while begun < JOBS as usize {
        holders = look(&baton);
        begun += begin(&baton, &mut holders);
        looks += 1;
    }
    // 1, then 2, 4, 8, 16 and 32 at a time.
    assert_eq!((looks, begun), (7, JOBS as usize));
}

#[test]
fn when_jobs_no_longer_stall_one_runner_drains_the_queue_again() {
    let baton = Baton::new(1000, 1000, 1);
    for job in 0..10 {
        let _ = baton.post(Instant::now(), job).unwrap();
    }
    assert!(matches!(baton.take(0), Take::Job(..)));
    let mut holders = look(&baton);
    assert_eq!(holders, [1, 2]);
    assert_eq!(begin(&baton, &mut holders), 2);
    baton.settle();
    assert!(matches!(baton.take(1), Take::Nothing), "it was one too many");
    assert!(matches!(baton.take(2), Take::Job(..)));
    assert!(matches!(baton.take(0), Take::Nothing), "its baton had moved");
    let mut left = 0;
    while let Take::Job(..) = baton.take(2) {
        left += 1;
    }
    assert_eq!(left, 6);
}

#[test]
fn no_more_runners_are_woken_while_one_has_not_begun() {
    let baton = Baton::new(1000, 1000, 2);
    for job in 0..10 {
        let _ = baton.post(Instant::now(), job).unwrap();
    }
    assert!(matches!(baton.take(0), Take::Job(..)));
    // Runner 1 holds the other baton and may be waiting for the interpreter.
    assert_eq!(look(&baton), [2]);
}
