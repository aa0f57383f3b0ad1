//! What is decided about workers: who is started, drained, killed, and when it is enough.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

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
const GRACE: Duration = Duration::from_secs(2);

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
    Starting,
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
}

/// How a worker ended, for messages and for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    BySignal(i32),
    Unknown,
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
            self.members.iter_mut().for_each(|member| member.seen = member.seen.map(|_| now));
        }
        self.turned = now;
        self.forget_failures(now);
        self.end_the_silent(now, &mut actions);
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
        let next = self.turned + TURN;
        if !self.stopping && !self.waiting && self.start_at > self.turned {
            next.min(self.start_at)
        } else {
            next
        }
    }

    /// A worker serves. Returns whether it is the first one of all.
    pub(super) fn serves(&mut self, id: Id, now: Instant) -> bool {
        if let Some(member) = self.member(id).filter(|member| member.state == State::Starting) {
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

    /// A worker would like another one to take its place.
    pub(super) fn asks_to_leave(&mut self, id: Id) {
        let starts = !self.stopping && self.incoming.is_none();
        if let Some(member) = self.member(id).filter(|member| starts && !member.leaving) {
            member.leaving = true;
            self.waiting = false;
        }
    }

    /// A worker has ended.
    pub(super) fn ended(&mut self, id: Id, end: End, now: Instant) {
        let Some(place) = self.members.iter().position(|member| member.id == id) else { return };
        let member = self.members.remove(place);
        let served = match member.state {
            State::Draining { .. } | State::Killed => {
                tracing::debug!(target: "bimetal::supervisor", worker = id, "the worker {end}");
                return;
            }
            State::Serving { since } => Some(now.saturating_duration_since(since)),
            State::Starting => None,
        };
        if self.stopping {
            return;
        }
        let when = if served.is_some() { "" } else { " before it served" };
        if self.incoming == Some(member.generation) {
            self.give_up_replacement(format_args!("worker {id} {end}{when}"), now);
        } else if served.is_some_and(|served| served >= STEADY) {
            self.failures = 0;
            self.start_at = now;
            if end == End::Code(0) {
                tracing::info!(target: "bimetal::supervisor", worker = id, "a worker has ended; another one takes its place");
            } else {
                tracing::error!(target: "bimetal::supervisor", worker = id, "a worker {end}; another one takes its place");
            }
        } else {
            self.start_failed(format!("worker {id} {end}{when}"), now);
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
        let starts = |member: &&Member| member.generation == generation && member.state == State::Starting;
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
                && matches!(member.state, State::Starting | State::Serving { .. })
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
                state: State::Starting,
                leaving: false,
                seen: None,
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
            if matches!(member.state, State::Starting | State::Serving { .. }) {
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

    fn end_the_silent(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for member in &mut self.members {
            let silent = member
                .seen
                .is_some_and(|seen| now.saturating_duration_since(seen) > self.config.heartbeat_timeout);
            if silent && matches!(member.state, State::Starting | State::Serving { .. }) {
                tracing::error!(target: "bimetal::supervisor",
                    worker = member.id,
                    "a worker has shown no sign of life for {:?} and is killed",
                    self.config.heartbeat_timeout
                );
                actions.push(Action::Signal { id: member.id, signal: Signal::Kill });
                // Its end tells what follows.
                member.seen = Some(now);
            }
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

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> End {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, Some(number)) => End::BySignal(number),
            (None, None) => End::Unknown,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Code(code) => write!(f, "ended with exit code {code}"),
            End::BySignal(number) => match name(*number) {
                Some(name) => write!(f, "was ended by {name}"),
                None => write!(f, "was ended by signal {number}"),
            },
            End::Unknown => f.write_str("has ended"),
        }
    }
}

/// The signals that end programs, by the numbers they have on every Unix.
fn name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL (by hand, or by the kernel for want of memory)",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}
