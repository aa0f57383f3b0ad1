//! Worker processes: started, watched, replaced, drained.
//!
//! The supervisor holds the listening socket and serves nothing itself. Each worker is a program of its own that
//! inherits the socket and one end of a socket pair ([`link`]), by which it says that it serves and that it is alive,
//! and learns of the supervisor's end. What is decided about workers is decided in `crew`, which knows neither
//! processes nor clocks.

mod crew;
#[cfg(test)]
mod crew_tests;
mod end;
mod figures;
mod link;
mod overview;
mod process;

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::metrics::resident;
use crate::{Error, ErrorKind};
use crew::{Action, Crew};
use end::End;
pub use figures::Gathered;
use figures::{Asker, Figures, Turn};
pub use link::{Link, Obeying, State, Telling};
pub use overview::Overview;
use process::{Event, Process};

/// How workers are kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many serve at a time.
    pub workers: usize,
    /// How long a worker may take to finish what it has in flight; two seconds later it is killed.
    pub drain_timeout: Duration,
    /// How long a worker may be without a sign of life before it is killed.
    pub heartbeat_timeout: Duration,
    /// How long a worker may take until it serves.
    pub startup_timeout: Duration,
    /// How much memory a worker may have before another one takes its place.
    pub max_memory: Option<MaxMemory>,
    /// Whether to wait for [`Handle::replace`] when a worker does not start, instead of trying again.
    pub wait_for_changes: bool,
}

/// How much resident memory a worker may have; in bytes.
#[derive(Clone, Copy, Debug)]
pub struct MaxMemory {
    /// Any worker.
    pub bytes: u64,
    /// Up to so much more, at random, so that not all are replaced at once.
    pub jitter: u64,
}

/// What a new worker has to be given.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The descriptor it talks to the supervisor by, to be inherited; see [`Link`].
    pub link: RawFd,
    /// The descriptor of the memory for its breadcrumbs, to be inherited; see [`crate::breadcrumb`].
    pub memory: RawFd,
    /// Whether no worker has served before.
    pub first: bool,
}

/// A signal to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Finish what is in flight, and end.
    Terminate,
    /// End now.
    Kill,
}

/// How workers become processes: the part that needs `unsafe` on some systems and knows what a worker runs.
pub trait Launcher {
    /// The program of a new worker, with all that it inherits.
    fn command(&mut self, start: Start) -> Command;

    /// Memory for the breadcrumbs of a new worker, of [`crate::breadcrumb::PLACES_SIZE`] and full of zeros.
    fn memory(&mut self) -> io::Result<File>;

    /// Sends a signal to a process that has not been waited for yet.
    fn signal(&self, pid: u32, signal: Signal);

    /// No further worker will be started. A socket that is kept open for them has to be closed: as long as it is, clients can
    /// connect, and nobody accepts them.
    fn stopping(&mut self) {}
}

/// Gives orders to a supervisor that runs, from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Replace,
    Stop,
    Gather(oneshot::Sender<Gathered>),
}

impl Handle {
    /// Starts new workers, and drains the old ones when those serve. Does nothing after the end.
    pub fn replace(&self) {
        let _ = self.orders.send(Order::Replace);
    }

    /// What is known of all workers, to come; never, where the supervisor has ended.
    pub fn gather(&self) -> oneshot::Receiver<Gathered> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.orders.send(Order::Gather(sender));
        receiver
    }

    /// Stops, as SIGTERM does: asked again, without waiting for requests. Does nothing after the end.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
    }
}

/// A supervisor that has started nothing yet.
pub struct Supervisor<L> {
    config: Config,
    launcher: L,
    orders: mpsc::UnboundedSender<Order>,
    ordered: mpsc::UnboundedReceiver<Order>,
}

impl<L: Launcher> Supervisor<L> {
    /// A supervisor of workers that `launcher` makes. An error of kind `Config` when there are to be none.
    pub fn new(config: Config, launcher: L) -> Result<Supervisor<L>, Error> {
        if config.workers == 0 {
            return Err(Error::new(ErrorKind::Config, "the setting workers must be at least 1"));
        }
        if config.max_memory.is_some() && resident(std::process::id()).is_none() {
            let message =
                "the setting max_memory needs a system that tells in /proc how much memory a process has";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let (orders, ordered) = mpsc::unbounded_channel();
        Ok(Supervisor { config, launcher, orders, ordered })
    }

    /// What gives it orders.
    pub fn handle(&self) -> Handle {
        Handle { orders: self.orders.clone() }
    }

    /// Keeps workers until SIGINT or SIGTERM; a second one does not wait for requests. SIGHUP replaces all of them.
    ///
    /// Blocks the calling thread. An error of kind `Server` when the workers cannot be kept alive; it says why.
    pub fn run(self) -> Result<(), Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .map_err(|error| cannot("start its event loop", error))?;
        runtime.block_on(self.supervise())
    }

    async fn supervise(self) -> Result<(), Error> {
        let Supervisor { config, mut launcher, orders: _orders, mut ordered } = self;
        let listen = |kind| signal(kind).map_err(|error| cannot("listen to signals", error));
        let (mut interrupts, mut terminations, mut hangups) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        );
        let had_terminal = has_terminal();
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut processes: Vec<Process> = Vec::new();
        let mut crew = Crew::new(config, Instant::now());
        let mut figures = Figures::default();
        loop {
            for action in crew.turn(Instant::now()) {
                match action {
                    Action::Start { id, first } => {
                        match Process::start(id, first, &mut launcher, report.clone()) {
                            Ok(process) => processes.push(process),
                            Err(error) => crew.not_started(id, &error, Instant::now()),
                        }
                    }
                    Action::Signal { id, signal } => {
                        if let Some(process) = processes.iter().find(|process| process.id() == id) {
                            process.signal(&launcher, signal);
                        }
                    }
                    Action::End(outcome) => {
                        return outcome.map_err(|reason| Error::new(ErrorKind::Server, reason))
                    }
                }
            }
            let mut turn = Turn::default();
            let stop = tokio::select! {
                biased;
                Some((id, event)) = reports.recv() => {
                    let now = Instant::now();
                    match event {
                        Event::Serves => {
                            let first = crew.serves(id, now);
                            let pid = processes.iter().find(|process| process.id() == id).and_then(Process::pid);
                            if let Some(bytes) = pid.and_then(resident).filter(|_| config.max_memory.is_some()) {
                                crew.begins_with(id, bytes);
                            }
                            // The first says so itself.
                            if config.workers > 1 || !first {
                                tracing::info!(target: "bimetal::supervisor", worker = id, pid, "a worker serves");
                            }
                        }
                        Event::Lives => {
                            crew.lives(id, now);
                            figures.lives(id);
                            if config.max_memory.is_some() {
                                let pid = processes.iter().find(|process| process.id() == id).and_then(Process::pid);
                                if let Some(bytes) = pid.and_then(resident) {
                                    crew.has(id, bytes);
                                }
                            }
                        }
                        Event::Told { text, asked } => turn = figures.told(id, &text, asked, now),
                        Event::Routes(routes) => figures.serves(routes),
                        Event::Gathers => turn = figures.wanted(Asker::Worker(id), now),
                        Event::Invalidates(target) => {
                            let others = processes.iter().filter(|process| process.id() != id);
                            others.for_each(|process| process.invalidate(&target));
                        }
                        Event::AsksToLeave => crew.asks_to_leave(id),
                        Event::Stage(stage) => crew.stage(id, stage),
                        Event::Ended(status, calls) => {
                            processes.retain(|process| process.id() != id);
                            turn = figures.ended(id, now);
                            crew.ended(id, status.map_or(End::Unknown, End::from), &calls, now);
                        }
                    }
                    false
                }
                Some(order) = ordered.recv() => match order {
                    Order::Replace => { crew.replace(Instant::now()); false }
                    Order::Stop => true,
                    Order::Gather(sender) => {
                        turn = figures.wanted(Asker::Admin(sender), Instant::now());
                        false
                    }
                },
                _ = interrupts.recv() => true,
                _ = terminations.recv() => true,
                // A terminal that is closed says so by the signal that operators use to replace workers.
                _ = hangups.recv() => if had_terminal && !has_terminal() { true } else {
                    tracing::info!(target: "bimetal::supervisor", "SIGHUP: starting new workers");
                    crew.replace(Instant::now());
                    false
                },
                () = sleep_until(next_turn(&crew, &figures).into()) => {
                    turn = figures.turn(Instant::now());
                    false
                }
            };
            carry_out(turn, &figures, &crew, &processes);
            if stop {
                launcher.stopping();
                crew.stop(Instant::now());
            }
        }
    }
}

fn next_turn(crew: &Crew, figures: &Figures) -> Instant {
    let turn = crew.next_turn();
    figures.until().map_or(turn, |until| until.min(turn))
}

/// Asks workers, and answers who has asked.
fn carry_out(turn: Turn, figures: &Figures, crew: &Crew, processes: &[Process]) {
    let process = |id| processes.iter().find(|process| process.id() == id);
    turn.ask.into_iter().filter_map(process).for_each(Process::ask);
    if turn.answer.is_empty() {
        return;
    }
    let gathered = figures.gathered(crew.has_begun());
    for asker in turn.answer {
        match asker {
            Asker::Worker(id) => {
                if let Some(process) = process(id) {
                    process.tell(&gathered.figures);
                }
            }
            Asker::Admin(sender) => {
                let _ = sender.send(gathered.clone());
            }
        }
    }
}

fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

fn cannot(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Server, format!("the supervisor cannot {what}: {error}")).with_cause(error)
}
