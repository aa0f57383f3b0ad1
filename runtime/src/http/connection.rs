//! One connection: what its socket, requests, responses and the worker know of it.

mod socket;

pub(crate) use socket::Socket;

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{ready, Context, Poll, Waker};
use std::time::Duration;

use actix_http::Payload;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::gate::{Announced, Gate, Verdict};
use super::strict::HeadLimits;
use super::{websocket, Address, Refusal, Stream, TrustedProxies};
use crate::lane::Wakes;

/// What the server waits for on a connection, since which tick of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// What comes before HTTP/1.1, or goes on in its place: its deadlines are its own.
    Apart,
    /// The next request, since the last one was answered: bounded by keep-alive.
    Idle(u32),
    /// The same without a dispatcher.
    Resting(u32),
    /// The rest of a request head; of the first one on a connection all of it.
    Head(u32),
    /// The handler.
    Busy,
    /// More of a request body.
    Body(u32),
}

/// How long the end of an idle connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whether an idle connection gives up its dispatcher, whose buffers it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// It does not.
    No,
    /// It will, if there is nothing to read.
    Wanted,
    /// It has: the dispatcher takes that for the client's end.
    Begun,
}

/// What every connection of an I/O worker may ask about it.
pub(crate) struct Pulse {
    /// Time, in ticks of the worker's choice.
    pub(crate) tick: Cell<u32>,
    /// Each connection ends with the next response.
    pub(crate) leaving: Cell<bool>,
    /// No new requests: those in flight are the last.
    pub(crate) draining: Cell<bool>,
    /// The worker's runtime ends: no task can be started any more.
    pub(crate) stopped: Cell<bool>,
    /// How other threads wake the worker's tasks.
    pub(crate) wakes: Arc<Wakes>,
    /// Who is believed about where a request came from.
    pub(crate) trusted_proxies: TrustedProxies,
    /// How large a request head may be.
    pub(crate) head_limits: HeadLimits,
    /// What WebSockets may do.
    pub(crate) websockets: websocket::Settings,
}

impl Pulse {
    pub(crate) fn new(
        trusted_proxies: TrustedProxies,
        head_limits: HeadLimits,
        websockets: websocket::Settings,
    ) -> Rc<Pulse> {
        Rc::new(Pulse {
            tick: Cell::new(0),
            draining: Cell::new(false),
            stopped: Cell::new(false),
            leaving: Cell::new(false),
            wakes: Wakes::new(),
            trusted_proxies,
            head_limits,
            websockets,
        })
    }
}

/// The state of a connection. It belongs to its I/O worker.
pub(crate) struct Connection {
    local: Option<Address>,
    /// The address at the proxy that speaks for the client.
    at_proxy: OnceCell<Address>,
    secure: bool,
    phase: Cell<Phase>,
    pulse: Rc<Pulse>,
    gate: Cell<Gate>,
    /// The socket has more for the dispatcher than the gate lets pass: bytes, or their end.
    holding: Cell<bool>,
    /// Nothing more is read: the stream reports its end.
    hung_up: Cell<bool>,
    /// The client was too slow: the stream reports an error.
    timed_out: Cell<bool>,
    /// Why the head is refused that the dispatcher gets a stand-in for, or the body that has been ended.
    refused: Cell<Option<Refusal>>,
    /// The request that is being answered is the last of the connection.
    last: Cell<bool>,
    /// The connection ends with the response that is being written.
    closes: Cell<bool>,
    /// The client may still be sending when the connection ends.
    leaves: Cell<bool>,
    /// The dispatcher has ended over what a client sent that may still be sending.
    left: RefCell<Option<Stream>>,
    rest: Cell<Rest>,
    /// Since when the client has taken nothing of a response, in ticks.
    stalled: Cell<Option<u32>>,
    /// Wakes the task that serves the connection.
    task: RefCell<Option<Waker>>,
    /// The task's waker as it last was, and what other threads get in its place.
    gathering: RefCell<Option<(Waker, Waker)>>,
    websocket: RefCell<Option<Arc<websocket::Link>>>,
    /// The body of its last request, of which nobody wants the rest. Held so that the dispatcher closes the connection instead of
    /// reading the body to its end.
    unread: RefCell<Option<Box<Payload>>>,
}

impl Connection {
    pub(crate) fn new(local: Option<Address>, secure: bool, pulse: Rc<Pulse>) -> Rc<Connection> {
        Rc::new(Connection {
            local,
            at_proxy: OnceCell::new(),
            secure,
            phase: Cell::new(Phase::Apart),
            pulse,
            gate: Cell::default(),
            holding: Cell::new(false),
            hung_up: Cell::new(false),
            timed_out: Cell::new(false),
            refused: Cell::new(None),
            last: Cell::new(false),
            closes: Cell::new(false),
            leaves: Cell::new(false),
            left: RefCell::new(None),
            rest: Cell::new(Rest::No),
            stalled: Cell::new(None),
            task: RefCell::new(None),
            gathering: RefCell::new(None),
            websocket: RefCell::new(None),
            unread: RefCell::new(None),
        })
    }

    /// The address the client connected to.
    pub(crate) fn local_addr(&self) -> Option<&Address> {
        self.at_proxy.get().or(self.local.as_ref())
    }

    /// A proxy has named the address.
    pub(crate) fn set_address_at_proxy(&self, address: Address) {
        let _ = self.at_proxy.set(address);
    }

    /// Whether it is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The state of one stream of it, which is like that of a connection.
    pub(crate) fn of_stream(&self) -> Rc<Connection> {
        let local = self.local_addr().cloned();
        Connection::new(local, self.secure, Rc::clone(&self.pulse))
    }

    /// Whether the client was too slow.
    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out.get()
    }

    /// Ends when the client should go elsewhere with its next request.
    pub(crate) async fn left(&self) {
        poll_fn(|cx| {
            self.remember_task(cx.waker());
            if self.pulse.leaving.get() || self.pulse.draining.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Ends when no new requests are taken.
    pub(crate) async fn drained(&self) {
        poll_fn(|cx| {
            self.remember_task(cx.waker());
            if self.pulse.draining.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Who is believed about where a request came from.
    pub(super) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.pulse.trusted_proxies
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Since when the client has taken nothing of the response that is being written, in ticks.
    pub(crate) fn stalled_since(&self) -> Option<u32> {
        self.stalled.get()
    }

    /// A request has been parsed; `body` is what it announces, `last` that no other may follow it.
    pub(crate) fn begin_request(&self, body: Announced, last: bool) {
        self.phase.set(Phase::Busy);
        self.last.set(last);
        self.change_gate(|gate| gate.announce(body));
    }

    /// A request has been answered.
    pub(crate) fn end_request(&self) {
        self.phase.set(Phase::Idle(self.pulse.tick.get()));
        if !self.last.get() {
            self.change_gate(Gate::answered);
        }
    }

    /// Why the request that has just been parsed is refused, if it is the stand-in for one.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.refused.take()
    }

    /// Why the request body has been ended here.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refused.get()
    }

    /// What becomes of `bytes`, which come next.
    fn examine(&self, bytes: &[u8]) -> Verdict {
        let phase = self.phase.get();
        let busy = self.last.get() || matches!(phase, Phase::Busy | Phase::Body(_));
        let mut gate = self.gate.get();
        let verdict = gate.pass(bytes, busy, &self.pulse.head_limits);
        self.gate.set(gate);
        if matches!(phase, Phase::Idle(_)) {
            self.phase.set(Phase::Head(self.pulse.tick.get()));
        }
        verdict
    }

    fn change_gate(&self, change: impl FnOnce(&mut Gate)) {
        let mut gate = self.gate.get();
        change(&mut gate);
        self.gate.set(gate);
        if self.holding.get() {
            self.wake();
        }
    }

    pub(crate) fn set_busy(&self) {
        self.phase.set(Phase::Busy);
    }

    pub(crate) fn set_awaiting_body(&self) {
        if !matches!(self.phase.get(), Phase::Body(_)) {
            self.phase.set(Phase::Body(self.pulse.tick.get()));
        }
    }

    /// Reads nothing more: the dispatcher writes what it has and closes.
    pub(crate) fn hang_up(&self) {
        self.hung_up.set(true);
        self.wake();
    }

    /// Hangs up on a client that may still be sending.
    pub(super) fn leave(&self) {
        self.leaves.set(true);
        self.hang_up();
    }

    /// What a WebSocket on this connection may do.
    pub(super) fn websockets(&self) -> websocket::Settings {
        self.pulse.websockets
    }

    /// Gives the client up.
    pub(crate) fn time_out(&self) {
        self.timed_out.set(true);
        self.wake();
    }

    /// Refuses the head that is being read.
    pub(crate) fn time_head_out(&self) {
        if self.gate.get() == Gate::Head {
            self.refused.set(Some(Refusal::SlowHead));
            self.wake();
        } else {
            self.time_out();
        }
    }

    /// Ends the body that is being read.
    pub(crate) fn time_body_out(&self) {
        self.end_body(Refusal::SlowBody);
        self.wake();
    }

    fn end_body(&self, refusal: Refusal) {
        self.refused.set(Some(refusal));
        self.hung_up.set(true);
    }

    /// The response that is being written announces the end of the connection.
    pub(crate) fn close_after_response(&self) {
        self.closes.set(true);
    }

    /// The response that is being written is the last of the connection, and nobody wants what is left of its request.
    pub(super) fn keep_unread(&self, payload: Payload) {
        *self.unread.borrow_mut() = Some(Box::new(payload));
    }

    /// Has the dispatcher of a connection that is idle given up.
    pub(crate) fn retire_dispatcher(&self) {
        let is_ending = self.closes.get() || self.last.get() || self.pulse.draining.get();
        if self.rest.get() == Rest::No && !is_ending && self.stalled.get().is_none() {
            self.rest.set(Rest::Wanted);
            self.wake();
        }
    }

    /// Whether the dispatcher, which has nothing to read, has to end.
    fn begins_rest(&self) -> bool {
        if self.rest.get() == Rest::No {
            return false;
        }
        // One that still waits for a body it has no use for is about to close.
        let begins = matches!(self.phase.get(), Phase::Idle(_)) && self.gate.get() == Gate::Head;
        self.rest.set(if begins { Rest::Begun } else { Rest::No });
        begins
    }

    /// Once the dispatcher has ended: waits for the next request, if that was the reason. `None` when the connection is over.
    pub(crate) async fn rest(&self) -> Option<Stream> {
        if self.rest.replace(Rest::No) != Rest::Begun {
            return None;
        }
        let mut stream = self.left.take()?;
        if let Phase::Idle(since) = self.phase.get() {
            self.phase.set(Phase::Resting(since));
        }
        let is_readable = poll_fn(|cx| {
            self.remember_task(cx.waker());
            if stream.poll_read_ready(cx).is_ready() {
                Poll::Ready(true)
            } else if self.timed_out.get() || self.pulse.draining.get() {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        });
        if is_readable.await {
            return Some(stream);
        }
        // However that ends, the connection is closed.
        let _ = timeout(GOODBYE, poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx))).await;
        None
    }

    /// Reads and drops what a client still sends after its request has been refused. Closing at once could destroy the
    /// answer on its way.
    pub(crate) async fn linger(&self, patience: Duration) {
        let Some(mut io) = self.left.take() else { return };
        let drained = poll_fn(|cx| {
            ready!(Pin::new(&mut io).poll_shutdown(cx))?;
            let mut scratch = [0; 4096];
            loop {
                let mut buf = ReadBuf::new(&mut scratch);
                ready!(Pin::new(&mut io).poll_read(cx, &mut buf))?;
                if buf.filled().is_empty() {
                    return Poll::Ready(io::Result::Ok(()));
                }
            }
        });
        // However it ends, there is nothing more to do for the client.
        let _ = timeout(patience, drained).await;
    }

    /// Has the dispatcher look again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.task.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether the server has stopped, and with it every task of this worker.
    pub(crate) fn server_has_stopped(&self) -> bool {
        self.pulse.stopped.get()
    }

    pub(crate) fn set_websocket(&self, link: Arc<websocket::Link>) {
        if self.pulse.draining.get() {
            link.go_away();
        }
        *self.websocket.borrow_mut() = Some(link);
    }

    /// Tells a WebSocket on this connection that the server stops.
    pub(crate) fn go_away(&self) {
        if let Some(link) = &*self.websocket.borrow() {
            link.go_away();
        }
        self.wake();
    }

    /// For whom another thread is to wake: the same task as `waker`, see [`Wakes`].
    pub(crate) fn gathering(&self, waker: &Waker) -> Waker {
        let mut known = self.gathering.borrow_mut();
        match &*known {
            Some((task, gathering)) if task.will_wake(waker) => gathering.clone(),
            _ => {
                let gathering = self.pulse.wakes.gathering(waker);
                *known = Some((waker.clone(), gathering.clone()));
                gathering
            }
        }
    }

    /// Notes whether the client takes what is written.
    pub(crate) fn note_written(&self, is_taken: bool, cx: &Context<'_>) {
        if is_taken {
            self.stalled.set(None);
            return;
        }
        self.remember_task(cx.waker());
        if self.stalled.get().is_none() {
            self.stalled.set(Some(self.pulse.tick.get()));
        }
    }

    pub(crate) fn remember_task(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}
