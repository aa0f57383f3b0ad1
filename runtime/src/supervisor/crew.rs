//! What is decided about workers: who is started, drained, killed, and when it is enough.

mod memory;

use std::fmt;
use std::time::{Duration, Instant};

use super::end::{calling, End};
use super::{Config, Signal};

/// Which worker, of all that have been started.
pub(super) type Id = u64;

/// How long a worker has to have served for its end not to count as a failure to start.
const STEADY: Duration = Duration::from_secs(1);

/// So many failures in a row, with nobody serving, are enough.
const MAX_FAILURES: u32 = 5;

/// The longest pause before another start.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a worker gets beyond its drain timeout.
const GRACE: Duration = Duration::from_millis(1500);

/// The number of SIGTERM, on every Unix.
const TERMINATED: i32 = 15;

/// What a worker does before it says what it does.
const FIRST_STAGE: &str = "starting the program";

/// How often the crew is looked at, and how late that may be before the supervisor itself must have been stopped.
const TURN: Duration = Duration::from_millis(500);
const STOPPED: Duration = Duration::from_secs(3);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start a worker by this number; `first`: none has served before.
    Start { id: Id, first: bool },
    /// Send a signal to a worker.
    Signal { id: Id, signal: Signal },
    /// It is over; an error says why.
    End(Result<(), String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting {
        since: Instant,
    },
    Serving {
        since: Instant,
    },
    /// Told to end; killed then.
    Draining {
        kill_at: Instant,
    },
    Killed,
}

#[derive(Debug)]
struct Member {
    id: Id,
    generation: u64,
    state: State,
    /// Another one is to take its place.
    leaving: bool,
    /// When it last showed that it is alive; none yet.
    seen: Option<Instant>,
    /// What it is doing before it serves.
    stage: String,
    /// The most memory that it may have, in bytes.
    memory: Option<u64>,
    /// Why it has been killed.
    killed: Option<String>,
}

/// The workers.
#[derive(Debug)]
pub(super) struct Crew {
    config: Config,
    members: Vec<Member>,
    next: Id,
    /// Who is meant to serve.
    generation: u64,
    /// Who is to take their place, while it is not ready.
    incoming: Option<u64>,
    generations: u64,
    /// A worker has served.
    begun: bool,
    /// Starts in a row that came to nothing.
    failures: u32,
    failed_at: Instant,
    /// No worker is started before.
    start_at: Instant,
    /// Nothing is started before somebody asks for it.
    waiting: bool,
    stopping: bool,
    killing: bool,
    failed: Option<String>,
    turned: Instant,
}

impl Crew {
    pub(super) fn new(config: Config, now: Instant) -> Crew {
        Crew {
            config,
            members: Vec::new(),
            next: 1,
            generation: 0,
            incoming: None,
            generations: 0,
            begun: false,
            failures: 0,
            failed_at: now,
            start_at: now,
            waiting: false,
            stopping: false,
            killing: false,
            failed: None,
            turned: now,
        }
    }

    /// What is to be done now.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if now.saturating_duration_since(self.turned) > STOPPED {
            // Whoever stopped this process, and lets it go on, may have done so with all of them.
            for member in &mut self.members {
                member.seen = member.seen.map(|_| now);
                if let State::Starting { since } = &mut member.state {
                    *since = now;
                }
            }
        }
        self.turned = now;
        self.forget_failures(now);
        self.kill_the_stuck(now, &mut actions);
        self.kill_the_late(now, &mut actions);
        if self.stopping {
            self.drain(|_| true, now, &mut actions);
            if self.members.is_empty() {
                actions.push(Action::End(self.failed.take().map_or(Ok(()), Err)));
            }
            return actions;
        }
        self.start_missing(now, &mut actions);
        self.relieve(now, &mut actions);
        actions
    }

    /// When the next turn is due, if nothing happens before.
    pub(super) fn next_turn(&self) -> Instant {
        let kill_at = |member: &Member| match member.state {
            State::Draining { kill_at } => Some(kill_at),
            _ => None,
        };
        let next = self.members.iter().filter_map(kill_at).fold(self.turned + TURN, Instant::min);
        if !self.stopping && !self.waiting && self.start_at > self.turned {
            next.min(self.start_at)
        } else {
            next
        }
    }

    /// A worker serves. Returns whether it is the first one of all.
    pub(super) fn serves(&mut self, id: Id, now: Instant) -> bool {
        if let Some(member) = self.member(id).filter(|member| matches!(member.state, State::Starting { .. }))
        {
            member.state = State::Serving { since: now };
            member.seen = Some(now);
        }
        !std::mem::replace(&mut self.begun, true)
    }

    /// Whether a worker has served.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// A worker has shown that it is alive.
    pub(super) fn lives(&mut self, id: Id, now: Instant) {
        if let Some(member) = self.member(id) {
            member.seen = Some(now);
        }
    }

    /// A worker that does not serve yet has come to this.
    pub(super) fn stage(&mut self, id: Id, stage: String) {
        if let Some(member) = self.member(id) {
            member.stage = stage;
        }
    }

    /// A worker would like another one to take its place.
    pub(super) fn asks_to_leave(&mut self, id: Id) {
        let starts = !self.stopping && self.incoming.is_none();
        if let Some(member) = self.member(id).filter(|member| starts && !member.leaving) {
            member.leaving = true;
            self.waiting = false;
        }
    }

    /// A worker has ended, while it made these calls.
    pub(super) fn ended(&mut self, id: Id, end: End, calls: &[String], now: Instant) {
        let Some(place) = self.members.iter().position(|member| member.id == id) else { return };
        let member = self.members.remove(place);
        let calls = calling(calls);
        let served = match member.state {
            // SIGTERM by its own name ends one that has not begun to listen for it.
            State::Draining { .. } if !matches!(end, End::BySignal(number) if number != TERMINATED) => {
                tracing::debug!(target: "bimetal::supervisor", worker = id, "the worker {end}");
                return;
            }
            State::Draining { .. } | State::Killed => {
                if member.state != State::Killed || !calls.is_empty() {
                    tracing::error!(target: "bimetal::supervisor", worker = id, "a worker that was told to end {end}{calls}");
                }
                return;
            }
            State::Serving { since } => Some(now.saturating_duration_since(since)),
            State::Starting { .. } => None,
        };
        if self.stopping {
            return;
        }
        let when = match (&member.killed, end) {
            _ if served.is_some() => String::new(),
            (Some(_), _) => String::new(),
            (None, End::BySignal(_)) => format!(" before it served, while {}", member.stage),
            (None, _) => " before it served".to_owned(),
        };
        let end_said = member.killed.unwrap_or_else(|| end.to_string());
        let end_said = format!("{end_said}{when}{calls}");
        if self.incoming == Some(member.generation) {
            self.give_up_replacement(format_args!("worker {id} {end_said}"), now);
        } else if served.is_some_and(|served| served >= STEADY) {
            self.failures = 0;
            self.start_at = now;
            if end == End::Code(0) {
                tracing::info!(target: "bimetal::supervisor", worker = id, "a worker has ended; another one takes its place");
            } else {
                tracing::error!(target: "bimetal::supervisor", worker = id, "a worker {end_said}; another one takes its place");
            }
        } else {
            self.start_failed(format!("worker {id} {end_said}"), now);
        }
    }

    /// A worker could not even be started.
    pub(super) fn not_started(&mut self, id: Id, error: &std::io::Error, now: Instant) {
        let Some(place) = self.members.iter().position(|member| member.id == id) else { return };
        let member = self.members.remove(place);
        let reason = format!("worker {id} cannot be started: {error}");
        if self.incoming == Some(member.generation) {
            self.give_up_replacement(format_args!("{reason}"), now);
        } else {
            self.start_failed(reason, now);
        }
    }

    /// New workers in place of all; the newest wish counts.
    pub(super) fn replace(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        self.generations += 1;
        // Those that were about to take over are drained by `relieve`, which knows their generation no more.
        self.incoming = Some(self.generations);
        self.members.iter_mut().for_each(|member| member.leaving = false);
        self.waiting = false;
        self.failures = 0;
        self.start_at = now;
    }

    /// Drains all; asked again, kills them.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.stopping {
            self.killing = true;
        } else {
            self.stopping = true;
            self.turned = now;
        }
    }

    fn member(&mut self, id: Id) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// The generation that workers are started for.
    fn current(&self) -> u64 {
        self.incoming.unwrap_or(self.generation)
    }

    fn serving(&self, generation: u64) -> usize {
        let serves = |member: &&Member| {
            member.generation == generation
                && !member.leaving
                && matches!(member.state, State::Serving { .. })
        };
        self.members.iter().filter(serves).count()
    }

    fn starting(&self, generation: u64) -> usize {
        let starts = |member: &&Member| {
            member.generation == generation && matches!(member.state, State::Starting { .. })
        };
        self.members.iter().filter(starts).count()
    }

    fn start_missing(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.waiting || now < self.start_at {
            return;
        }
        let current = self.current();
        let alive = self.members.iter().filter(|member| {
            member.generation == current
                && !member.leaving
                && matches!(member.state, State::Starting { .. } | State::Serving { .. })
        });
        // One goes first: what keeps it from serving would keep all of them.
        let proven = self
            .members
            .iter()
            .any(|member| member.generation == current && matches!(member.state, State::Serving { .. }));
        let (alive, starting) = (alive.count(), self.starting(current));
        let missing = self.config.workers.saturating_sub(alive);
        let careful = !proven || self.failures > 0;
        let missing = if careful { missing.min(1_usize.saturating_sub(starting)) } else { missing };
        for _ in 0..missing {
            let id = self.next;
            self.next += 1;
            self.members.push(Member {
                id,
                generation: current,
                state: State::Starting { since: now },
                leaving: false,
                seen: None,
                stage: FIRST_STAGE.to_owned(),
                memory: self.config.max_memory.map(|memory| memory.of(id)),
                killed: None,
            });
            actions.push(Action::Start { id, first: !self.begun });
        }
    }

    /// Drains those whose place has been taken.
    fn relieve(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(incoming) = self.incoming {
            if self.serving(incoming) >= self.config.workers {
                if self.members.iter().any(|member| member.generation == self.generation) {
                    tracing::info!(target: "bimetal::supervisor", "the new workers serve; the old ones finish what they have begun");
                }
                self.generation = incoming;
                self.incoming = None;
            }
        }
        let (generation, incoming) = (self.generation, self.incoming);
        self.drain(
            |member| member.generation != generation && Some(member.generation) != incoming,
            now,
            actions,
        );
        if incoming.is_none() && self.serving(generation) >= self.config.workers {
            self.drain(|member| member.leaving, now, actions);
        }
    }

    fn drain(&mut self, who: impl Fn(&Member) -> bool, now: Instant, actions: &mut Vec<Action>) {
        let kill_at = now + self.config.drain_timeout + GRACE;
        for member in self.members.iter_mut().filter(|member| who(member)) {
            if matches!(member.state, State::Starting { .. } | State::Serving { .. }) {
                member.state = State::Draining { kill_at };
                actions.push(Action::Signal { id: member.id, signal: Signal::Terminate });
            }
        }
    }

    fn kill_the_late(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in &mut self.members {
            let late = match member.state {
                State::Draining { kill_at } if now >= kill_at => {
                    tracing::error!(target: "bimetal::supervisor", worker = member.id, "a worker does not end in time and is killed");
                    true
                }
                State::Killed => false,
                _ => self.killing,
            };
            if late {
                member.state = State::Killed;
                actions.push(Action::Signal { id: member.id, signal: Signal::Kill });
            }
        }
    }

    /// Those that show no sign of life, and those that do not come to serve.
    fn kill_the_stuck(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Config { heartbeat_timeout, startup_timeout, .. } = self.config;
        let late = |since: Instant, limit| now.saturating_duration_since(since) > limit;
        for member in self.members.iter_mut().filter(|member| member.killed.is_none()) {
            let silent = member.seen.is_some_and(|seen| late(seen, heartbeat_timeout));
            let why = match member.state {
                State::Starting { .. } | State::Serving { .. } if silent => {
                    format!("has shown no sign of life for {heartbeat_timeout:?} and was killed")
                }
                State::Starting { since } if late(since, startup_timeout) => format!(
                    "did not come to serve within {startup_timeout:?} (--startup-timeout) and was killed while {}",
                    member.stage
                ),
                _ => continue,
            };
            // Its end tells what follows.
            member.killed = Some(why);
            actions.push(Action::Signal { id: member.id, signal: Signal::Kill });
        }
    }

    /// They are over when a worker that was started after the last of them goes on serving.
    fn forget_failures(&mut self, now: Instant) {
        let steady = |member: &Member| match member.state {
            State::Serving { since } => {
                since > self.failed_at && now.saturating_duration_since(since) >= STEADY
            }
            _ => false,
        };
        if self.members.iter().any(steady) {
            self.failures = 0;
        }
    }

    fn give_up_replacement(&mut self, why: fmt::Arguments<'_>, now: Instant) {
        self.incoming = None;
        if self.config.wait_for_changes {
            self.wait(why);
        } else if self.anybody_serves() {
            tracing::error!(target: "bimetal::supervisor", "{why}; the old workers go on serving");
            // One that has ended meanwhile has its place taken after all, by what there is now.
            self.start_at = now;
        } else {
            self.start_failed(why.to_string(), now);
        }
    }

    fn anybody_serves(&self) -> bool {
        self.members.iter().any(|member| matches!(member.state, State::Serving { .. }))
    }

    fn start_failed(&mut self, why: String, now: Instant) {
        self.failures += 1;
        self.failed_at = now;
        let serving = self.anybody_serves();
        if self.config.wait_for_changes {
            self.members.iter_mut().for_each(|member| member.leaving = false);
            self.wait(format_args!("{why}"));
        } else if !self.begun {
            self.fail(why);
        } else if !serving && self.failures >= MAX_FAILURES {
            self.fail(format!("{why}; no worker serves, and {} in a row have failed", self.failures));
        } else {
            let pause = pause(self.failures);
            self.start_at = now + pause;
            tracing::error!(target: "bimetal::supervisor", "{why}; the next one is started in {pause:?}");
        }
    }

    fn wait(&mut self, why: fmt::Arguments<'_>) {
        self.waiting = true;
        if self.anybody_serves() {
            tracing::error!(target: "bimetal::supervisor", "{why}; the old code goes on serving until the next change");
        } else {
            tracing::error!(target: "bimetal::supervisor", "{why}; waiting for the next change");
        }
    }

    fn fail(&mut self, why: String) {
        self.failed = Some(why);
        self.stopping = true;
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let steps = failures.saturating_sub(1).min(10);
    (Duration::from_millis(250) * 2u32.pow(steps)).min(LONGEST_PAUSE)
}
