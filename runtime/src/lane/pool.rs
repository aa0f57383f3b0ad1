//! Threads for work that may block: started when needed, ended when idle, bounded like the queue before them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The size of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Threads at most.
    pub threads: usize,
    /// Jobs that may wait for a thread; a further one is refused.
    pub queue: usize,
    /// How long a thread without work stays.
    pub idle: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig { threads: 64, queue: 1024, idle: Duration::from_secs(10) }
    }
}

/// What a pool has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolDemand {
    /// Jobs that wait.
    pub waiting: usize,
    /// Threads at work.
    pub busy: usize,
    /// Threads at most.
    pub max_threads: usize,
}

impl PoolDemand {
    /// The threads that are busy, and with all of them busy the jobs that wait, for each thread that there may be.
    pub fn saturation(&self) -> f64 {
        let waiting = if self.busy < self.max_threads { 0 } else { self.waiting };
        (self.busy + waiting) as f64 / self.max_threads.max(1) as f64
    }
}

/// Work for a thread of the pool.
pub type Job = Box<dyn FnOnce() + Send>;

/// The pool has no thread and no place in its queue left, or is closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// Runs jobs that may block.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    config: PoolConfig,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that wait for work.
    idle: usize,
    /// Every thread that has not ended, by number.
    threads: HashMap<usize, JoinHandle<()>>,
    /// Threads that run a job now.
    busy: usize,
    next_number: usize,
    closed: bool,
}

impl Pool {
    /// A pool without threads yet; theirs will be called `name` and a number.
    pub fn new(name: &'static str, config: PoolConfig) -> Pool {
        Pool { shared: Arc::new(Shared { name, config, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Has a thread run `job`, as soon as one is free.
    pub fn submit(&self, job: Job) -> Result<(), Full> {
        let config = &self.shared.config;
        let mut state = self.shared.state.lock();
        let waiting = state.queue.len();
        if state.closed {
            return Err(Full);
        }
        if waiting >= state.idle && state.threads.len() < config.threads {
            let number = state.next_number;
            let shared = Arc::clone(&self.shared);
            let builder = thread::Builder::new().name(format!("{}-{number}", shared.name));
            match builder.spawn(move || shared.run(number)) {
                Ok(handle) => {
                    state.next_number += 1;
                    state.threads.insert(number, handle);
                }
                Err(error) => {
                    tracing::warn!("no further thread {} could be started: {error}", self.shared.name);
                    if state.threads.is_empty() {
                        return Err(Full);
                    }
                }
            }
        }
        // Whoever finds a free thread waits for it only until that has woken up, and does not count against the queue.
        let free = state.threads.len() - state.busy;
        if waiting >= config.queue + free {
            return Err(Full);
        }
        state.queue.push_back(job);
        self.shared.work.notify_one();
        Ok(())
    }

    /// What it has to do.
    pub fn demand(&self) -> PoolDemand {
        let state = self.shared.state.lock();
        PoolDemand { waiting: state.queue.len(), busy: state.busy, max_threads: self.shared.config.threads }
    }

    /// Drops what waits, ends idle threads and waits for them. A thread that is busy ends when its handler returns.
    pub fn close(&self) {
        let (jobs, threads) = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            let jobs = std::mem::take(&mut state.queue);
            let threads = if state.busy == 0 { std::mem::take(&mut state.threads) } else { HashMap::new() };
            self.shared.work.notify_all();
            (jobs, threads)
        };
        drop(jobs);
        let current = thread::current().id();
        for handle in threads.into_values().filter(|handle| handle.thread().id() != current) {
            let _ = handle.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// A thread of the pool.
    fn run(&self, number: usize) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.busy += 1;
                drop(state);
                // A job catches what its handler does; should it panic all the same, the thread goes on.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                state = self.state.lock();
                state.busy -= 1;
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, self.config.idle).timed_out();
            state.idle -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.threads.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{Full, Pool, PoolConfig};

    /// An upper bound for what must happen anyway.
    const HANG: Duration = Duration::from_secs(20);

    #[test]
    fn beyond_threads_and_queue_a_job_is_refused() {
        let pool = Pool::new("bimetal-blocking", PoolConfig { threads: 2, queue: 1, idle: HANG });
        let (started, starts) = mpsc::channel();
        let mut releases = Vec::new();
        let mut submit = || {
            let (release, released) = mpsc::channel::<()>();
            releases.push(release);
            let started = started.clone();
            pool.submit(Box::new(move || {
                started.send(std::thread::current().name().unwrap().to_owned()).unwrap();
                let _ = released.recv();
            }))
        };
        assert_eq!([submit(), submit()], [Ok(()), Ok(())]);
        let mut names: Vec<String> = (0..2).map(|_| starts.recv_timeout(HANG).unwrap()).collect();
        names.sort();
        assert_eq!(names, ["bimetal-blocking-0", "bimetal-blocking-1"]);
        assert_eq!([submit(), submit()], [Ok(()), Err(Full)]);
        releases.clear();
        starts.recv_timeout(HANG).expect("the job in the queue runs when a thread is free");
    }

    #[test]
    fn idle_threads_end_and_new_ones_start() {
        let pool = Pool::new(
            "bimetal-blocking",
            PoolConfig { threads: 1, queue: 8, idle: Duration::from_millis(1) },
        );
        for _ in 0..3 {
            let (done, finished) = mpsc::channel();
            pool.submit(Box::new(move || done.send(()).unwrap())).unwrap();
            finished.recv_timeout(HANG).unwrap();
            let begun = std::time::Instant::now();
            while !pool.shared.state.lock().threads.is_empty() {
                assert!(begun.elapsed() < HANG, "the thread never ended");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn closing_joins_idle_threads_and_refuses_work() {
        let pool = Pool::new("bimetal-blocking", PoolConfig { threads: 4, queue: 8, idle: HANG });
        let (done, finished) = mpsc::channel();
        pool.submit(Box::new(move || done.send(()).unwrap())).unwrap();
        finished.recv_timeout(HANG).unwrap();
        pool.close();
        assert_eq!(pool.submit(Box::new(|| {})), Err(Full));
    }

    #[test]
    fn a_job_that_panics_leaves_the_thread_at_work() {
        let pool = Pool::new("bimetal-blocking", PoolConfig { threads: 1, queue: 8, idle: HANG });
        pool.submit(Box::new(|| panic!("on purpose"))).unwrap();
        let (done, finished) = mpsc::channel();
        pool.submit(Box::new(move || done.send(()).unwrap())).unwrap();
        finished.recv_timeout(HANG).unwrap();
    }
}
