//! The queue of a pool of runners, and the batons that say which runners drain it.
//!
//! Whoever holds a baton takes jobs; there is one baton where jobs cannot run side by side, and one for each core where
//! they can. When a holder's job stalls, a watcher takes the baton away and gives it, and with it the queue, to another
//! runner: the queue moves, the handler stays where it is. The stalled runner notices when its job ends, and goes idle.
//!
//! Where one job after the other stalls, there is a baton more with each that is taken away, for as long as that goes on: a row of
//! handlers that all block is begun in a number of looks that grows with its logarithm, however late the looks come.
//!
//! At all times each waiting job has a holder that is about to ask for one, or no baton is free, or no runner is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::sync::{lock, Arc, Condvar, Mutex, MutexGuard};

/// Batons at most that there are more while jobs stall.
const MAX_SURPLUS: usize = 31;

/// The shared state of runners, posters and the watcher.
pub(super) struct Baton<J> {
    state: Mutex<State<J>>,
    watcher: Condvar,
    max_queue: usize,
    max_runners: usize,
    batons: usize,
}

struct State<J> {
    queue: VecDeque<(Instant, J)>,
    /// As many as there are batons at most; more for a moment, after the surplus has gone.
    holders: Vec<Holder>,
    /// Batons that there are more while jobs stall.
    surplus: usize,
    /// Jobs taken so far; the number of the last one.
    taken: u64,
    idle: Vec<usize>,
    /// One bell per runner, by number; `None` for a runner that has ended.
    bells: Vec<Option<Arc<Condvar>>>,
    runners: usize,
    watching: bool,
    closed: bool,
}

/// A runner with a baton.
struct Holder {
    runner: usize,
    /// The number of the job it is in; `None` between jobs, or while it waits for its interpreter.
    job: Option<u64>,
}

impl<J> State<J> {
    fn holder(&mut self, runner: usize) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.runner == runner)
    }

    /// Takes the baton from `runner`, if it has one.
    fn release(&mut self, runner: usize) {
        self.holders.retain(|holder| holder.runner != runner);
    }

    /// Whether more jobs wait than there are holders about to ask for one.
    fn needs_holder(&self) -> bool {
        self.queue.len() > self.holders.iter().filter(|holder| holder.job.is_none()).count()
    }
}

/// What the caller has to do after a baton has moved.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: somebody has it, or was woken.
    Done,
    /// Start the runner of this number: it holds a baton.
    Start(usize),
}

/// What a runner finds when it asks for a job.
pub(super) enum Take<J> {
    /// A job, and when it was posted.
    Job(Instant, J),
    /// The queue is empty, or its baton has gone to another runner: wait again.
    Nothing,
}

/// Why a runner's wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It holds a baton.
    Holds,
    /// It should end: nothing came for its idle time, or the pool is closed.
    End,
}

impl<J> Baton<J> {
    /// `batons` runners take jobs at the same time, of `max_runners` that there may be.
    pub(super) fn new(max_queue: usize, max_runners: usize, batons: usize) -> Self {
        Baton {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                holders: Vec::with_capacity(batons),
                surplus: 0,
                taken: 0,
                idle: Vec::new(),
                bells: Vec::new(),
                runners: 0,
                watching: false,
                closed: false,
            }),
            watcher: Condvar::new(),
            max_queue,
            max_runners,
            batons,
        }
    }

    /// Queues a job; gives it back when the queue is full or closed.
    pub(super) fn post(&self, posted: Instant, job: J) -> Result<Next, J> {
        self.post_if(posted, job, |_, _| true)
    }

    /// The same if `admits` it, which is told how many jobs wait and for how long the first of them has, as of `posted`.
    pub(super) fn post_if(
        &self,
        posted: Instant,
        job: J,
        admits: impl FnOnce(usize, Duration) -> bool,
    ) -> Result<Next, J> {
        let mut state = lock(&self.state);
        let oldest = state.queue.front().map(|(first, _)| posted.saturating_duration_since(*first));
        if state.closed
            || state.queue.len() >= self.max_queue
            || !admits(state.queue.len(), oldest.unwrap_or_default())
        {
            return Err(job);
        }
        state.queue.push_back((posted, job));
        let next = self.pass(&mut state);
        if !state.watching {
            state.watching = true;
            self.watcher.notify_one();
        }
        Ok(next)
    }

    /// Gives a free baton, where one is needed, to an idle runner or to a new one; with all runners busy the first that ends
    /// its job takes it.
    fn pass(&self, state: &mut MutexGuard<'_, State<J>>) -> Next {
        if state.holders.len() >= self.batons + state.surplus || !state.needs_holder() {
            return Next::Done;
        }
        if let Some(runner) = state.idle.pop() {
            state.holders.push(Holder { runner, job: None });
            if let Some(bell) = &state.bells[runner] {
                bell.notify_one();
            }
            return Next::Done;
        }
        if state.runners < self.max_runners {
            let number = state.bells.iter().position(Option::is_none).unwrap_or(state.bells.len());
            let bell = Some(Arc::new(Condvar::new()));
            if number == state.bells.len() {
                state.bells.push(bell);
            } else {
                state.bells[number] = bell;
            }
            state.runners += 1;
            state.holders.push(Holder { runner: number, job: None });
            return Next::Start(number);
        }
        Next::Done
    }

    /// The next job for `runner`; ends its current one. Gives its baton back when the queue is empty, or when it is one too many.
    pub(super) fn take(&self, runner: usize) -> Take<J> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let is_surplus = state.holders.len() > self.batons + state.surplus;
        let Some(holder) = state.holders.iter_mut().find(|holder| holder.runner == runner) else {
            return Take::Nothing;
        };
        let next = if is_surplus { None } else { state.queue.pop_front() };
        match next {
            Some((posted, job)) => {
                state.taken += 1;
                holder.job = Some(state.taken);
                Take::Job(posted, job)
            }
            None => {
                // Idle from here on, not only once it waits: a job posted in between must not start another runner.
                state.release(runner);
                state.idle.push(runner);
                Take::Nothing
            }
        }
    }

    /// `runner` is between two batches: not in a job, and not to be taken for stalled.
    pub(super) fn pause(&self, runner: usize) {
        if let Some(holder) = lock(&self.state).holder(runner) {
            holder.job = None;
        }
    }

    /// Waits until `runner` holds a baton. With `idle` it ends after that time without work, unless it is the last one.
    pub(super) fn wait(&self, runner: usize, idle: Option<Duration>) -> Wait {
        let mut state = lock(&self.state);
        let since = idle.map(|_| Instant::now());
        loop {
            if state.holder(runner).is_some() {
                return Wait::Holds;
            }
            if state.closed {
                return self.leave(&mut state, runner);
            }
            if state.holders.len() < self.batons + state.surplus && state.needs_holder() {
                state.holders.push(Holder { runner, job: None });
                state.idle.retain(|&other| other != runner);
                return Wait::Holds;
            }
            if !state.idle.contains(&runner) {
                state.idle.push(runner);
            }
            let Some(bell) = state.bells[runner].clone() else { return Wait::End };
            match (idle, since) {
                (Some(idle), Some(since)) => {
                    let left = idle.saturating_sub(since.elapsed());
                    if left.is_zero() && state.runners > 1 {
                        return self.leave(&mut state, runner);
                    }
                    // The last runner stays; it looks again after another idle time.
                    let left = if left.is_zero() { idle } else { left };
                    state = wait_timeout(&bell, state, left);
                }
                _ => state = bell.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner()),
            }
        }
    }

    fn leave(&self, state: &mut MutexGuard<'_, State<J>>, runner: usize) -> Wait {
        state.idle.retain(|&other| other != runner);
        state.bells[runner] = None;
        state.runners -= 1;
        self.watcher.notify_all();
        Wait::End
    }

    /// A runner could not be started: its number is free again and so is its baton.
    pub(super) fn failed_to_start(&self, runner: usize) {
        let mut state = lock(&self.state);
        state.release(runner);
        let _ = self.leave(&mut state, runner);
    }

    /// What the watcher compares between two looks: the numbers of the jobs that holders are in, while others wait behind them;
    /// `None` where none waits.
    pub(super) fn stuck_in(&self) -> Option<Vec<u64>> {
        let state = lock(&self.state);
        let jobs = || state.holders.iter().filter_map(|holder| holder.job).collect();
        (!state.queue.is_empty()).then(jobs)
    }

    /// Takes the batons from holders that are still in these jobs and passes them on; and as many again, where every holder is in
    /// a job. One that is not may be waiting for the interpreter: more of those would only wait as well.
    pub(super) fn hand_over(&self, jobs: &[u64]) -> Vec<Next> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.queue.is_empty() || (state.idle.is_empty() && state.runners >= self.max_runners) {
            return Vec::new();
        }
        let all_at_work = state.holders.iter().all(|holder| holder.job.is_some());
        let before = state.holders.len();
        state.holders.retain(|holder| !holder.job.is_some_and(|job| jobs.contains(&job)));
        let mut free = before - state.holders.len();
        if all_at_work {
            let more = free.min(MAX_SURPLUS - state.surplus);
            state.surplus += more;
            free += more;
        }
        (0..free).map(|_| self.pass(&mut guard)).collect()
    }

    /// No job stalls any more: there are as many batons as before.
    pub(super) fn settle(&self) {
        lock(&self.state).surplus = 0;
    }

    /// Whether somebody holds a baton or something is queued.
    pub(super) fn is_busy(&self) -> bool {
        let state = lock(&self.state);
        !state.holders.is_empty() || !state.queue.is_empty()
    }

    /// Whether the pool has closed.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// The watcher sleeps until a job is posted. False when the pool has closed.
    pub(super) fn watch(&self) -> bool {
        let mut state = lock(&self.state);
        state.watching = false;
        while !state.watching && !state.closed {
            state = self.watcher.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        !state.closed
    }

    /// Jobs waiting, runners alive.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.queue.len(), state.runners)
    }

    /// Jobs waiting, when the first of them was posted, runners in a job or about to take one.
    pub(super) fn demand(&self) -> (usize, Option<Instant>, usize) {
        let state = lock(&self.state);
        let oldest = state.queue.front().map(|(posted, _)| *posted);
        (state.queue.len(), oldest, state.runners.saturating_sub(state.idle.len()))
    }

    /// Refuses further jobs, gives the waiting ones back, and tells idle runners to end.
    pub(super) fn close(&self) -> Vec<J> {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = state.queue.drain(..).map(|(_, job)| job).collect();
        for bell in state.bells.iter().flatten() {
            bell.notify_one();
        }
        self.watcher.notify_all();
        waiting
    }

    /// Waits, at most `limit`, until every runner has ended. Returns how many have not.
    #[cfg(not(bimetal_loom))]
    pub(super) fn wait_ended(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.state);
        while state.runners > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = wait_timeout(&self.watcher, state, left);
        }
        state.runners
    }
}

#[cfg(not(bimetal_loom))]
fn wait_timeout<'a, T>(bell: &Condvar, guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
    bell.wait_timeout(guard, limit).unwrap_or_else(|poisoned| poisoned.into_inner()).0
}

/// loom has no clock: a model waits for the bell alone.
#[cfg(bimetal_loom)]
fn wait_timeout<'a, T>(bell: &Condvar, guard: MutexGuard<'a, T>, _limit: Duration) -> MutexGuard<'a, T> {
    bell.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(all(test, not(bimetal_loom)))]
#[path = "baton_tests.rs"]
mod tests;

#[cfg(all(test, bimetal_loom))]
#[path = "baton_model.rs"]
mod model;
