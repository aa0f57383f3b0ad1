use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use super::{Batch, Limits, Refusal, Runners, Work};

type Job = Box<dyn FnOnce() + Send>;

struct Calls(Sender<Refusal>);

impl Work<Job> for Calls {
    fn run(&self, batch: &mut Batch<'_, Job>) {
        while let Some(job) = batch.next() {
            job();
        }
    }
    fn refuse(&self, _job: Job, why: Refusal) {
        let _ = self.0.send(why);
    }
}

fn pool(limits: Limits) -> (Runners<Job>, Receiver<Refusal>) {
    let (refused, refusals) = channel();
    (Runners::new("test", limits, Calls(refused)).unwrap(), refusals)
}

#[test]
fn jobs_run_in_order_on_one_thread_while_none_stalls() {
    let (runners, _refusals) = pool(Limits::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (done, finished) = channel();
    for n in 0..1000 {
        let (seen, done) = (seen.clone(), done.clone());
        runners.post(Box::new(move || {
            seen.lock().unwrap().push(n);
            if n == 999 {
                done.send(()).unwrap();
            }
        }));
    }
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
    let mut seen = seen.lock().unwrap().clone();
    // A slow machine may hand over in between, which swaps neighbours; nothing is lost or doubled.
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

/// Counts how often jobs are run: each time is an attachment to the interpreter.
struct Counted(Arc<AtomicUsize>);

impl Work<Job> for Counted {
    fn run(&self, batch: &mut Batch<'_, Job>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        while let Some(job) = batch.next() {
            job();
        }
    }
    fn refuse(&self, _job: Job, _why: Refusal) {}
}

#[test]
fn what_has_queued_up_runs_in_full_batches() {
    const JOBS: usize = 257;
    // With one thread nothing is handed over, and within an hour a batch ends only when it is full.
    let limits = Limits { max_threads: 1, batch_time: Duration::from_secs(3600), ..Limits::default() };
    let batches = Arc::<AtomicUsize>::default();
    let runners = Runners::new("test", limits.clone(), Counted(batches.clone())).unwrap();
    let (release, hold) = channel::<()>();
    let (done, finished) = channel();
    runners.post(Box::new(move || {
        let _ = hold.recv();
    }));
    for _ in 2..JOBS {
        runners.post(Box::new(|| {}));
    }
    runners.post(Box::new(move || done.send(()).unwrap()));
    drop(release);
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(batches.load(Ordering::SeqCst), JOBS.div_ceil(limits.batch));
}

#[test]
fn handlers_that_block_do_not_hold_up_the_queue() {
    let (runners, _refusals) = pool(Limits::default());
    // All 200 have to be inside their job at once before any can leave it.
    let barrier = Arc::new(Barrier::new(201));
    for _ in 0..200 {
        let barrier = barrier.clone();
        runners.post(Box::new(move || {
            barrier.wait();
        }));
    }
    barrier.wait();
}

/// Takes a job only once two runners are there. One that has not taken any does not stall, so nothing is handed over.
struct Together(Barrier);

impl Work<Job> for Together {
    fn run(&self, batch: &mut Batch<'_, Job>) {
        self.0.wait();
        while let Some(job) = batch.next() {
            job();
        }
    }
    fn refuse(&self, _job: Job, _why: Refusal) {}
}

#[test]
fn as_many_runners_take_jobs_as_may_be_active() {
    let limits = Limits { active: 2, ..Limits::default() };
    let runners = Runners::new("test", limits, Together(Barrier::new(2))).unwrap();
    let (done, finished) = channel();
    for _ in 0..2 {
        let done = done.clone();
        runners.post(Box::new(move || done.send(()).unwrap()));
    }
    for _ in 0..2 {
        finished.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}

#[test]
fn what_waits_and_who_works_is_known() {
    let (runners, _refusals) = pool(Limits { max_threads: 2, ..Limits::default() });
    let idle = runners.demand();
    assert_eq!((idle.waiting, idle.oldest, idle.busy, idle.saturation()), (0, Duration::ZERO, 0, 0.0));
    let (begun, begins) = channel();
    let mut releases = Vec::new();
    for _ in 0..5 {
        let (release, hold) = channel::<()>();
        let begun = begun.clone();
        releases.push(release);
        runners.post(Box::new(move || {
            begun.send(()).unwrap();
            let _ = hold.recv();
        }));
    }
    for _ in 0..2 {
        begins.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    let full = runners.demand();
    assert_eq!((full.waiting, full.busy, full.max_threads, full.saturation()), (3, 2, 2, 2.5));
    assert!(full.oldest > Duration::ZERO && runners.demand().oldest > full.oldest);
    drop(releases);
}

#[test]
fn the_cap_on_threads_holds() {
    let (runners, _refusals) = pool(Limits { max_threads: 3, ..Limits::default() });
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (done, finished) = channel();
    for _ in 0..30 {
        let (inside, most, done) = (inside.clone(), most.clone(), done.clone());
        runners.post(Box::new(move || {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            inside.fetch_sub(1, Ordering::SeqCst);
            done.send(()).unwrap();
        }));
    }
    for _ in 0..30 {
        finished.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let (runners, refusals) = pool(Limits { max_threads: 1, max_queue: 2, ..Limits::default() });
    let (release, hold) = channel::<()>();
    let (entered, inside) = channel();
    runners.post(Box::new(move || {
        entered.send(()).unwrap();
        let _ = hold.recv();
    }));
    inside.recv_timeout(Duration::from_secs(30)).unwrap();
    runners.post(Box::new(|| {}));
    runners.post(Box::new(|| {}));
    runners.post(Box::new(|| {}));
    assert_eq!(refusals.recv_timeout(Duration::from_secs(30)).unwrap(), Refusal::Full);
    drop(release);
}

#[test]
fn where_a_queue_stands_nothing_new_is_admitted() {
    const MANY: usize = 1000;
    let (brief, long) = (Duration::from_millis(999), Duration::from_secs(1));
    let limits = Limits::default();
    assert!(limits.admits(MANY, brief), "a burst");
    assert!(limits.admits(MANY - 1, long), "clients that wait for their answers");
    assert!(!limits.admits(MANY, long));
    assert!(!limits.admits(1, limits.max_age), "it would be refused when its turn comes");
    assert!(!limits.admits(limits.max_queue, Duration::ZERO));
}

#[test]
fn what_has_begun_may_join_a_queue_that_stands() {
    let limits =
        Limits { max_threads: 1, standing: 1, standing_age: Duration::from_millis(1), ..Limits::default() };
    let (runners, refusals) = pool(limits);
    let (release, hold) = channel::<()>();
    let (entered, inside) = channel();
    runners.admit(
        Instant::now(),
        Box::new(move || {
            entered.send(()).unwrap();
            let _ = hold.recv();
        }),
    );
    inside.recv_timeout(Duration::from_secs(30)).unwrap();
    let posted = Instant::now();
    let (done, finished) = channel();
    runners.admit(posted, Box::new(|| {}));
    assert!(refusals.try_recv().is_err(), "nothing waited yet");
    let later = posted + Duration::from_millis(1);
    runners.admit(later, Box::new(|| {}));
    assert_eq!(refusals.try_recv().unwrap(), Refusal::Full);
    runners.post(Box::new(move || done.send(()).unwrap()));
    drop(release);
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(refusals.try_recv().is_err());
    let (done, finished) = channel();
    runners.admit(Instant::now(), Box::new(move || done.send(()).unwrap()));
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn a_job_that_waited_too_long_is_refused() {
    const MAX_AGE: Duration = Duration::from_secs(30);
    let (runners, refusals) = pool(Limits { max_threads: 1, max_age: MAX_AGE, ..Limits::default() });
    let long_ago = Instant::now() - MAX_AGE - Duration::from_secs(1);
    runners.admit(long_ago, Box::new(|| {}));
    assert_eq!(refusals.recv_timeout(Duration::from_secs(30)).unwrap(), Refusal::TooOld);
    let (done, finished) = channel();
    runners.admit(Instant::now(), Box::new(move || done.send(()).unwrap()));
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn closing_ends_every_thread_and_refuses_what_waits() {
    let (runners, refusals) = pool(Limits { max_threads: 1, ..Limits::default() });
    let (entered, inside) = channel();
    let (release, hold) = channel::<()>();
    runners.post(Box::new(move || {
        entered.send(()).unwrap();
        let _ = hold.recv();
    }));
    inside.recv_timeout(Duration::from_secs(30)).unwrap();
    runners.post(Box::new(|| {}));
    assert_eq!(runners.close(Duration::ZERO), 1, "one is still in its job");
    assert_eq!(refusals.recv_timeout(Duration::from_secs(30)).unwrap(), Refusal::Closed);
    drop(release);
    assert_eq!(runners.close(Duration::from_secs(30)), 0);
    runners.post(Box::new(|| {}));
    assert_eq!(refusals.recv_timeout(Duration::from_secs(30)).unwrap(), Refusal::Full);
}

/// Work that waits for longer than a batch may take before it can begin, as for an interpreter that others hold.
struct Late(Sender<usize>);

impl Work<usize> for Late {
    fn run(&self, batch: &mut Batch<'_, usize>) {
        std::thread::sleep(Duration::from_millis(5));
        let mut ran = 0;
        while batch.next().is_some() {
            assert!(batch.entered() >= batch.began() + Duration::from_millis(5));
            assert!(batch.taken() >= batch.entered());
            ran += 1;
        }
        self.0.send(ran).unwrap();
    }
    fn refuse(&self, _job: usize, _why: Refusal) {}
}

#[test]
fn a_runner_that_had_to_wait_uses_its_turn() {
    let (done, finished) = channel();
    let limits = Limits { batch_time: Duration::from_millis(1), ..Limits::default() };
    let runners = Runners::new("test", limits, Late(done)).unwrap();
    runners.post(1);
    assert_eq!(finished.recv_timeout(Duration::from_secs(30)).unwrap(), 1);
}
