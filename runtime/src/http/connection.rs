//! One connection: the socket as the HTTP dispatcher reads it, and what requests, responses and the worker know of it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::websocket;

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
#[derive(Default)]
pub(crate) struct Pulse {
    /// Time, in ticks of the worker's choice.
    pub(crate) tick: Cell<u32>,
    /// No new requests: those in flight are the last.
    pub(crate) draining: Cell<bool>,
    /// The worker's runtime ends: no task can be started any more.
    pub(crate) stopped: Cell<bool>,
}

/// The state of a connection. It belongs to its I/O worker.
pub(crate) struct Connection {
    local: Option<SocketAddr>,
    phase: Cell<Phase>,
    pulse: Rc<Pulse>,
    /// Nothing more is read: the stream reports its end.
    hung_up: Cell<bool>,
    /// The client was too slow: the stream reports an error.
    timed_out: Cell<bool>,
    /// Since when the client has taken nothing of a response, in ticks.
    stalled: Cell<Option<u32>>,
    /// Wakes the task that serves the connection.
    task: RefCell<Option<Waker>>,
    websocket: RefCell<Option<Arc<websocket::Link>>>,
}

impl Connection {
    pub(crate) fn new(local: Option<SocketAddr>, pulse: Rc<Pulse>) -> Rc<Connection> {
        Rc::new(Connection {
            local,
            phase: Cell::new(Phase::Idle),
            pulse,
            hung_up: Cell::new(false),
            timed_out: Cell::new(false),
            stalled: Cell::new(None),
            task: RefCell::new(None),
            websocket: RefCell::new(None),
        })
    }

    /// The address the client connected to.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Since when the client has taken nothing of the response that is being written, in ticks.
    pub(crate) fn stalled_since(&self) -> Option<u32> {
        self.stalled.get()
    }

    pub(crate) fn set_idle(&self) {
        self.phase.set(Phase::Idle);
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

    fn remember_task(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

/// The socket, as the dispatcher sees it.
pub(crate) struct Socket {
    io: TcpStream,
    connection: Rc<Connection>,
}

impl Socket {
    pub(crate) fn new(io: TcpStream, connection: Rc<Connection>) -> Self {
        Socket { io, connection }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let connection = &*this.connection;
        if connection.timed_out.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if connection.hung_up.get() {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_pending() {
            connection.remember_task(cx.waker());
        } else if connection.phase.get() == Phase::Idle {
            connection.phase.set(Phase::Head(connection.pulse.tick.get()));
        }
        read
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
        if written.is_ready() {
            connection.stalled.set(None);
        } else {
            connection.remember_task(cx.waker());
            if connection.stalled.get().is_none() {
                connection.stalled.set(Some(connection.pulse.tick.get()));
            }
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
