//! A pool of threads for handlers that may block: one drains the queue, or as many as there are cores where handlers can
//! run side by side; the others wait or are stuck in a handler.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::baton::{Baton, Next, Take, Wait};

/// How long a job may run while others wait before the queue moves to another runner. Two looks make it certain.
const LOOK: Duration = Duration::from_micros(500);
/// The pace after a hand-over: a row of handlers that all block is worked off quickly.
const QUICK_LOOK: Duration = Duration::from_micros(100);
/// Looks at jobs of which none has stalled before there are no more batons than usual. Between two hand-overs there is one.
const CALM_LOOKS: u32 = 2;
/// Looks without any work before the watcher goes to sleep.
const LOOKS_BEFORE_SLEEP: u32 = 200;

/// What bounds a pool of runners.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads at most. Beyond it jobs wait for a handler to end.
    pub max_threads: usize,
    /// Threads that take jobs at the same time, for as long as none of them stalls.
    pub active: usize,
    /// Jobs waiting at most.
    pub max_queue: usize,
    /// Longest wait of a job; an older one is refused when its turn comes. While the first has waited that long, no request
    /// is admitted.
    pub max_age: Duration,
    /// While so many jobs wait and the first of them has done so for [`Limits::standing_age`], no request is admitted: more comes
    /// than is done, and whoever joined would wait for longer than that.
    pub standing: usize,
    /// See [`Limits::standing`].
    pub standing_age: Duration,
    /// Jobs run under one [`Work::run`] at most.
    pub batch: usize,
    /// Time spent in one [`Work::run`] at most, from its first call of [`Batch::next`], looked at between jobs.
    pub batch_time: Duration,
    /// How long a spare thread stays without work.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_threads: 1000,
            active: 1,
            max_queue: 16_384,
            max_age: Duration::from_secs(60),
            standing: 1000,
            standing_age: Duration::from_secs(1),
            batch: 32,
            batch_time: Duration::from_micros(200),
            idle: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Whether a request may join `waiting` jobs, the first of which has waited for `oldest`. A burst may, and so may whatever a
    /// number of clients that wait for their answers can send; where a queue stands, the excess is refused as it comes, while there is
    /// time to ask elsewhere, and what was admitted is answered in time.
    pub fn admits(&self, waiting: usize, oldest: Duration) -> bool {
        let stands = waiting >= self.standing && oldest >= self.standing_age;
        waiting < self.max_queue && oldest < self.max_age && !stands
    }
}

/// How much a pool has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Jobs that wait.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub oldest: Duration,
    /// Threads at work.
    pub busy: usize,
    /// Threads at most.
    pub max_threads: usize,
}

impl Demand {
    /// The threads that are busy, and with all of them busy the jobs that wait, for each thread that there may be: more than 1
    /// when jobs wait and none can begin.
    pub fn saturation(&self) -> f64 {
        let waiting = if self.busy < self.max_threads { 0 } else { self.waiting };
        (self.busy + waiting) as f64 / self.max_threads as f64
    }
}

/// Why a job was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is full, or stands.
    Full,
    /// It waited longer than [`Limits::max_age`].
    TooOld,
    /// The pool has been closed.
    Closed,
}

/// How the jobs of a pool are run.
pub trait Work<J>: Send + Sync + 'static {
    /// Wraps the whole life of a runner, which is `life`: for what a thread keeps between its batches.
    fn runner(&self, life: &mut (dyn FnMut() + Send)) {
        life();
    }

    /// Runs jobs from `batch` until it has none. Called on a runner, for instance with the interpreter attached.
    fn run(&self, batch: &mut Batch<'_, J>);

    /// A job that will not be run.
    fn refuse(&self, job: J, why: Refusal);
}

/// The jobs of one [`Work::run`].
pub struct Batch<'a, J> {
    pool: &'a Pool<J>,
    runner: usize,
    left: usize,
    began: Instant,
    /// When the first job was asked for.
    entered: Option<Instant>,
    /// When the last job was taken.
    taken: Instant,
}

impl<J: Send + 'static> Batch<'_, J> {
    /// The next job; `None` when the batch is full, the queue empty, or the queue has moved to another runner.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would suggest that a batch can be collected"
    )]
    pub fn next(&mut self) -> Option<J> {
        let Limits { batch_time, max_age, .. } = self.pool.limits;
        loop {
            let now = Instant::now();
            // Whatever had to be waited for before is no reason to give up the turn that has come.
            let entered = *self.entered.get_or_insert(now);
            if self.left == 0 || now.saturating_duration_since(entered) >= batch_time {
                self.pool.baton.pause(self.runner);
                return None;
            }
            match self.pool.baton.take(self.runner) {
                Take::Job(posted, job) if now.saturating_duration_since(posted) <= max_age => {
                    self.left -= 1;
                    self.taken = now;
                    return Some(job);
                }
                Take::Job(_, job) => self.pool.work.refuse(job, Refusal::TooOld),
                Take::Nothing => return None,
            }
        }
    }

    /// When the runner was given the batch, before [`Work::run`].
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When [`Batch::next`] was first called.
    pub fn entered(&self) -> Instant {
        self.entered.unwrap_or(self.began)
    }

    /// When [`Batch::next`] gave its last job.
    pub fn taken(&self) -> Instant {
        self.taken
    }
}

struct Pool<J> {
    baton: Baton<J>,
    work: Box<dyn Work<J>>,
    limits: Limits,
    name: String,
    /// Every thread started, so that a closed pool leaves none behind.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A pool of runners. Jobs are begun in the order in which they were posted, [`Limits::active`] at a time as long as none of
/// them stalls.
pub struct Runners<J: Send + 'static> {
    pool: Arc<Pool<J>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

impl<J: Send + 'static> Runners<J> {
    /// A pool whose threads are named `name-0`, `name-1`, ... The first starts with the first job.
    pub fn new(name: &str, limits: Limits, work: impl Work<J>) -> io::Result<Self> {
        let pool = Arc::new(Pool {
            baton: Baton::new(limits.max_queue, limits.max_threads.max(1), limits.active.max(1)),
            work: Box::new(work),
            limits,
            name: name.to_owned(),
            threads: Mutex::new(Vec::new()),
        });
        let watched = Arc::clone(&pool);
        let watcher = thread::Builder::new().name(format!("{name}-watch")).spawn(move || watch(&watched))?;
        Ok(Runners { pool, watcher: Mutex::new(Some(watcher)) })
    }

    /// Queues a job that is part of something begun. One that cannot be queued is refused through [`Work::refuse`].
    pub fn post(&self, job: J) {
        self.posted(self.pool.baton.post(Instant::now(), job));
    }

    /// Queues a job that begins something, and has waited since `posted`, if [`Limits::admits`] it.
    pub fn admit(&self, posted: Instant, job: J) {
        let admits = |waiting, oldest| self.pool.limits.admits(waiting, oldest);
        self.posted(self.pool.baton.post_if(posted, job, admits));
    }

    fn posted(&self, outcome: Result<Next, J>) {
        match outcome {
            Ok(next) => start(&self.pool, next),
            Err(job) => self.pool.work.refuse(job, Refusal::Full),
        }
    }

    /// How much there is to do, and who does it.
    pub fn demand(&self) -> Demand {
        let (waiting, oldest, busy) = self.pool.baton.demand();
        let oldest = oldest.map_or(Duration::ZERO, |posted| posted.elapsed());
        Demand { waiting, oldest, busy, max_threads: self.pool.limits.max_threads.max(1) }
    }

    /// Jobs waiting and threads alive.
    pub fn load(&self) -> (usize, usize) {
        self.pool.baton.load()
    }

    /// Refuses what waits, lets running jobs end, and waits for that at most `limit`. Returns how many threads are still
    /// in a job then; they end with it.
    pub fn close(&self, limit: Duration) -> usize {
        for job in self.pool.baton.close() {
            self.pool.work.refuse(job, Refusal::Closed);
        }
        let left = self.pool.baton.wait_ended(limit);
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watcher) = watcher {
            let _ = watcher.join();
        }
        let mut threads = self.pool.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..).filter(|thread| left == 0 || thread.is_finished()) {
            let _ = thread.join();
        }
        left
    }
}

impl<J: Send + 'static> Drop for Runners<J> {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

fn start<J: Send + 'static>(pool: &Arc<Pool<J>>, next: Next) {
    let Next::Start(runner) = next else { return };
    let own = Arc::clone(pool);
    let spawned = thread::Builder::new().name(format!("{}-{runner}", pool.name)).spawn(move || {
        own.work.runner(&mut || {
            while own.baton.wait(runner, Some(own.limits.idle)) == Wait::Holds {
                let now = Instant::now();
                let mut batch = Batch {
                    pool: &own,
                    runner,
                    left: own.limits.batch,
                    began: now,
                    entered: None,
                    taken: now,
                };
                own.work.run(&mut batch);
            }
        });
    });
    match spawned {
        Ok(thread) => {
            let mut threads = pool.threads.lock().unwrap_or_else(PoisonError::into_inner);
            threads.retain(|thread| !thread.is_finished());
            threads.push(thread);
        }
        Err(error) => {
            tracing::error!(%error, pool = %pool.name, "cannot start a thread: its jobs wait for the running ones");
            pool.baton.failed_to_start(runner);
        }
    }
}

/// Looks at the holders of the batons and passes the queue on when one is still in the same job. Sleeps while nothing runs.
fn watch<J: Send + 'static>(pool: &Arc<Pool<J>>) {
    let mut before = Vec::new();
    let mut pace = LOOK;
    let (mut idle_looks, mut calm_looks) = (0, 0);
    loop {
        if idle_looks > LOOKS_BEFORE_SLEEP {
            if !pool.baton.watch() {
                return;
            }
            idle_looks = 0;
        }
        thread::sleep(pace);
        if pool.baton.is_closed() {
            return;
        }
        idle_looks = if pool.baton.is_busy() { 0 } else { idle_looks + 1 };
        let waiting = pool.baton.stuck_in();
        // A holder that is in no job yet says nothing about whether jobs stall.
        calm_looks = match &waiting {
            None => CALM_LOOKS,
            Some(jobs) if jobs.is_empty() => calm_looks,
            Some(_) => calm_looks + 1,
        };
        let now = waiting.unwrap_or_default();
        pace = if now.is_empty() { LOOK } else { pace };
        let (stalled, others): (Vec<u64>, Vec<u64>) = now.into_iter().partition(|job| before.contains(job));
        if !stalled.is_empty() {
            for next in pool.baton.hand_over(&stalled) {
                start(pool, next);
            }
            pace = QUICK_LOOK;
            calm_looks = 0;
        }
        before = others;
        if calm_looks == CALM_LOOKS {
            pool.baton.settle();
        }
    }
}

#[cfg(test)]
#[path = "runners_tests.rs"]
mod tests;
