//! The end of a request that a Python lane holds: answers it, and says where its time went.

use std::time::{Duration, Instant};

use bimetal_runtime::lane::{Batch, Refusal};
use bimetal_runtime::metrics::{Phase, Phases};
use bimetal_runtime::Response;
use tokio::sync::oneshot;

use crate::cpu_time;
use crate::refusal;

/// Answers one request, once. Dropped without an answer, the client gets a 500.
pub(crate) struct Responder {
    sender: oneshot::Sender<Response>,
    posted: Instant,
    /// When the lane's thread took the request.
    taken: Option<Instant>,
    /// Of the time before that, how long the thread waited for the interpreter.
    interpreter: Option<Duration>,
    /// Whether something of the request has run.
    begun: bool,
    /// What it took to make bytes of results.
    serialise: Option<Duration>,
}

impl Responder {
    /// For a request that is posted to its lane now.
    pub(crate) fn new() -> (Responder, oneshot::Receiver<Response>) {
        let (sender, response) = oneshot::channel();
        let responder = Responder {
            sender,
            posted: Instant::now(),
            taken: None,
            interpreter: None,
            begun: false,
            serialise: None,
        };
        (responder, response)
    }

    /// Since when the request waits for its lane.
    pub(crate) fn posted(&self) -> Instant {
        self.posted
    }

    /// A runner has taken the request from its batch. Between the two instants at which that began and was entered, the runner
    /// waited for the interpreter: what the request has waited of that is no time in the queue.
    pub(crate) fn taken_by_runner<J: Send + 'static>(&mut self, batch: &Batch<'_, J>) {
        self.interpreter = Some(batch.entered().saturating_duration_since(batch.began().max(self.posted)));
        self.taken = Some(batch.taken());
        self.begun = true;
    }

    /// The event loop takes the request. It has `begun` unless its task waits for a turn of its own.
    pub(crate) fn taken_by_loop(&mut self, taken: Instant, begun: bool) {
        self.taken = Some(taken);
        self.begun = begun;
    }

    /// The task of the request has its first turn: until then it was queued.
    pub(crate) fn begins(&mut self, now: Instant) {
        if !self.begun {
            self.taken_by_loop(now, true);
        }
    }

    /// A result has been made bytes, which took so long.
    pub(crate) fn serialised(&mut self, duration: Duration) {
        self.serialise = Some(self.serialise.unwrap_or_default() + duration);
    }

    /// Sends the response, whose bytes have been in the making since `result`, when the handler's result was there.
    pub(crate) fn send_serialised(mut self, response: Response, result: Instant) {
        let now = Instant::now();
        self.serialised(now.saturating_duration_since(result));
        self.send_at(response, now);
    }

    /// Sends the response.
    pub(crate) fn send(self, response: Response) {
        self.send_at(response, Instant::now());
    }

    fn send_at(self, mut response: Response, now: Instant) {
        let Responder { sender, posted, taken, interpreter, serialise, .. } = self;
        if let Some(taken) = taken {
            let waited = taken.saturating_duration_since(posted);
            let worked = now.saturating_duration_since(taken);
            let mut phases = Phases::default();
            phases.set(Phase::Queue, waited.saturating_sub(interpreter.unwrap_or_default()));
            phases.set(Phase::Handler, worked.saturating_sub(serialise.unwrap_or_default()));
            for (phase, duration) in [(Phase::Interpreter, interpreter), (Phase::Serialise, serialise)] {
                if let Some(duration) = duration {
                    phases.set(phase, duration);
                }
            }
            if let Some(computed) = cpu_time::so_far() {
                phases.set_computed(computed.saturating_sub(serialise.unwrap_or_default()));
            }
            response.phases = Some(Box::new(phases));
        }
        let _ = sender.send(response);
    }

    /// The request will not be answered by the application.
    pub(crate) fn refuse(self, why: Refusal) {
        let mut response = refusal::response(why);
        let mut phases = Phases::default();
        phases.set(Phase::Queue, self.posted.elapsed());
        response.phases = Some(Box::new(phases));
        let _ = self.sender.send(response);
    }
}
