//! One connection: the socket as the HTTP dispatcher reads it, and what requests, responses and the worker
//! know of it.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{ready, Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::gate::{Announced, Gate};
use super::{websocket, Address, Early, Stream, TrustedProxies};
use crate::lane::Wakes;

/// What the server waits for on a connection, since which tick of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The next request: bounded by keep-alive.
    Idle,
    /// The rest of a request head.
    Head(u32),
    /// The handler.
    Busy,
    /// More of a request body.
    Body(u32),
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
}

impl Pulse {
    pub(crate) fn new(trusted_proxies: TrustedProxies) -> Rc<Pulse> {
        Rc::new(Pulse {
            tick: Cell::new(0),
            draining: Cell::new(false),
            stopped: Cell::new(false),
            leaving: Cell::new(false),
            wakes: Wakes::new(),
            trusted_proxies,
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
    /// Since when the client has taken nothing of a response, in ticks.
    stalled: Cell<Option<u32>>,
    /// Wakes the task that serves the connection.
    task: RefCell<Option<Waker>>,
    /// The task's waker as it last was, and what other threads get in its place.
    gathering: RefCell<Option<(Waker, Waker)>>,
    websocket: RefCell<Option<Arc<websocket::Link>>>,
}

impl Connection {
    pub(crate) fn new(local: Option<Address>, secure: bool, pulse: Rc<Pulse>) -> Rc<Connection> {
        Rc::new(Connection {
            local,
            at_proxy: OnceCell::new(),
            secure,
            phase: Cell::new(Phase::Idle),
            pulse,
            gate: Cell::default(),
            holding: Cell::new(false),
            hung_up: Cell::new(false),
            timed_out: Cell::new(false),
            stalled: Cell::new(None),
            task: RefCell::new(None),
            gathering: RefCell::new(None),
            websocket: RefCell::new(None),
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

    /// A request has been parsed; `body` is what it announces.
    pub(crate) fn begin_request(&self, body: Announced) {
        self.phase.set(Phase::Busy);
        self.change_gate(|gate| gate.announce(body));
    }

    /// A request has been answered.
    pub(crate) fn end_request(&self) {
        self.phase.set(Phase::Idle);
        self.change_gate(Gate::answered);
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

    /// Gives the client up.
    pub(crate) fn time_out(&self) {
        self.timed_out.set(true);
        self.wake();
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

/// How much a client may pipeline behind the request that is being answered; more stays in the kernel.
const MAX_HELD: usize = 64 * 1024;

/// The socket, as the dispatcher sees it.
pub(crate) struct Socket {
    io: Stream,
    connection: Rc<Connection>,
    /// Read, and not for the dispatcher yet.
    held: BytesMut,
    /// The client has ended its side.
    ended: bool,
}

impl Socket {
    /// The dispatcher's socket: what has been read of it already, and the rest.
    pub(crate) fn new(early: Early, connection: Rc<Connection>) -> Self {
        let (held, io) = early.into_parts();
        Socket { io, connection, held, ended: false }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Lets pass what may pass of the bytes in `buf` from `start` on; holds the rest.
    fn pass(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let connection = &*self.connection;
        let mut gate = connection.gate.get();
        let bytes = &buf.filled()[start..];
        let length = gate.pass(bytes, matches!(connection.phase.get(), Phase::Busy | Phase::Body(_)));
        connection.gate.set(gate);
        if length < bytes.len() {
            self.held.extend_from_slice(&bytes[length..]);
            connection.holding.set(true);
            buf.set_filled(start + length);
        }
        if length > 0 && connection.phase.get() == Phase::Idle {
            connection.phase.set(Phase::Head(connection.pulse.tick.get()));
        }
    }

    /// While nothing may pass: reads on, to see a client that goes away and to be woken by it.
    fn read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        while !self.ended && self.held.len() < MAX_HELD {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            self.ended = buf.filled().len() == start;
            self.held.extend_from_slice(&buf.filled()[start..]);
            buf.set_filled(start);
            self.connection.holding.set(true);
        }
        // Whoever is gone while its request is being answered gets no answer. One whose request is just about
        // to be handled may get it at once.
        if self.ended && self.connection.gate.get() != Gate::Parsed {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.timed_out.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if this.connection.hung_up.get() {
            return Poll::Ready(Ok(()));
        }
        this.connection.remember_task(cx.waker());
        if this.connection.gate.get().is_shut() {
            return this.read_ahead(cx, buf);
        }
        let start = buf.filled().len();
        if !this.held.is_empty() {
            let length = this.held.len().min(buf.remaining());
            buf.put_slice(&this.held[..length]);
            this.held.advance(length);
            let later = std::mem::take(&mut this.held);
            this.pass(buf, start);
            this.held.unsplit(later);
            this.connection.holding.set(!this.held.is_empty() || this.ended);
            return Poll::Ready(Ok(()));
        }
        if !this.ended {
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            this.pass(buf, start);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let connection = &*this.connection;
        if connection.timed_out.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        connection.note_written(written.is_ready(), cx);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        if flushed.is_pending() {
            // What is encrypted waits to be taken after it has been written.
            if this.connection.timed_out.get() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            this.connection.note_written(false, cx);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
