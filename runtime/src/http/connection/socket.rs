//! The socket of a connection, as the HTTP dispatcher reads and writes it: what may not pass yet is held back.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, Phase, Rest};
use crate::http::gate::{Gate, Verdict};
use crate::http::refusal::STAND_IN;
use crate::http::{Early, Refusal, Stream};

/// The stream, which is there until its socket is dropped.
fn stream(io: &mut Option<Stream>) -> Pin<&mut Stream> {
    match io {
        Some(io) => Pin::new(io),
        None => unreachable!("the stream leaves its socket when that is dropped"),
    }
}

/// How much a client may pipeline behind the request that is being answered; more stays in the kernel.
const MAX_HELD: usize = 64 * 1024;

/// What the dispatcher gets when a head has begun that is not whole: otherwise it would close the connection as idle.
/// A blank line before a head does not count.
const BEGINNING: &[u8] = b"\r\n";

/// The socket, as the dispatcher sees it.
pub(crate) struct Socket {
    /// There until the socket is dropped.
    io: Option<Stream>,
    connection: Rc<Connection>,
    /// Read, and not handed over yet.
    held: BytesMut,
    /// How many of the first bytes of `held` may be handed over.
    cleared: usize,
    /// How many of the first bytes of `held` the gate wants to see again only with more: the beginning of a head.
    begun: usize,
    /// The client has ended its side.
    ended: bool,
}

impl Socket {
    /// The dispatcher's socket: what has been read of it already, and the rest. The time of the first head begins; of a later one
    /// it does with its first byte.
    pub(crate) fn new(early: Early, connection: Rc<Connection>) -> Self {
        let (held, io) = early.into_parts();
        connection.phase.set(match connection.phase.get() {
            Phase::Resting(since) => Phase::Idle(since),
            _ => Phase::Head(connection.pulse.tick.get()),
        });
        Socket { io: Some(io), connection, held, cleared: 0, begun: 0, ended: false }
    }

    pub(crate) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Reads from the stream into the room of `buf`.
    fn fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        ready!(stream(&mut self.io).poll_read(cx, buf))?;
        self.ended = buf.filled().len() == start;
        Poll::Ready(Ok(()))
    }

    /// Holds what `buf` has from `start` on.
    fn hold(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        self.held.extend_from_slice(&buf.filled()[start..]);
        buf.set_filled(start);
    }

    /// Hands over what may be handed over.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let length = self.cleared.min(buf.remaining());
        buf.put_slice(&self.held[..length]);
        self.held.advance(length);
        self.cleared -= length;
    }

    /// Has the head that is being read refused: the dispatcher gets another one, whose answer is the refusal.
    fn refuse(&mut self, refusal: Refusal) {
        self.connection.refused.set(Some(refusal));
        self.connection.gate.set(Gate::Parsed);
        self.held.clear();
        self.held.extend_from_slice(STAND_IN);
        self.cleared = STAND_IN.len();
        self.begun = 0;
    }

    /// What `held` begins with is examined by the gate. True if that is the beginning of a head that has not been seen yet.
    fn examine_held(&mut self) -> bool {
        let has_begun = self.begun > 0;
        match self.connection.examine(&self.held) {
            Verdict::Pass(length) => {
                self.cleared = length;
                self.begun = 0;
            }
            Verdict::More => {
                self.begun = self.held.len();
                return !has_begun;
            }
            Verdict::Refuse(refusal) => self.refuse(refusal),
            Verdict::Broken(refusal) => self.connection.end_body(refusal),
        }
        false
    }

    /// While nothing may pass: reads on, to see a client that goes away and to be woken by it.
    fn read_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        while !self.ended && self.held.len() < MAX_HELD {
            ready!(self.fill(cx, buf))?;
            self.hold(buf, start);
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
        this.connection.remember_task(cx.waker());
        if let (Some(refusal), Gate::Head) = (this.connection.refused.get(), this.connection.gate.get()) {
            this.refuse(refusal);
        }
        let start = buf.filled().len();
        loop {
            if this.connection.hung_up.get() {
                return Poll::Ready(Ok(()));
            }
            if this.cleared > 0 {
                this.hand_over(buf);
                this.connection.holding.set(!this.held.is_empty() || this.ended);
                return Poll::Ready(Ok(()));
            }
            if this.connection.gate.get().is_shut() {
                return this.read_ahead(cx, buf);
            }
            if this.held.len() > this.begun {
                if this.examine_held() {
                    buf.put_slice(BEGINNING);
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if this.ended || (this.begun == 0 && this.connection.begins_rest()) {
                return Poll::Ready(Ok(()));
            }
            ready!(this.fill(cx, buf))?;
            if this.begun > 0 || this.ended {
                this.hold(buf, start);
                continue;
            }
            let bytes = &buf.filled()[start..];
            match this.connection.examine(bytes) {
                Verdict::Pass(length) => {
                    if length < bytes.len() {
                        this.held.extend_from_slice(&bytes[length..]);
                        this.connection.holding.set(true);
                        buf.set_filled(start + length);
                    }
                    return Poll::Ready(Ok(()));
                }
                Verdict::More => {
                    this.hold(buf, start);
                    this.begun = this.held.len();
                    buf.put_slice(BEGINNING);
                    return Poll::Ready(Ok(()));
                }
                Verdict::Refuse(refusal) => {
                    buf.set_filled(start);
                    this.refuse(refusal);
                }
                Verdict::Broken(refusal) => {
                    buf.set_filled(start);
                    this.connection.end_body(refusal);
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let connection = &self.connection;
        // A head that passed and has not become a request is malformed.
        let is_malformed = connection.gate.get() == Gate::Parsed || connection.refused.get().is_some();
        let goes_on = is_malformed || connection.leaves.get() || connection.rest.get() == Rest::Begun;
        if !self.ended && goes_on {
            connection.left.replace(self.io.take());
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let connection = &*this.connection;
        if connection.timed_out.get() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = stream(&mut this.io).poll_write(cx, buf);
        connection.note_written(written.is_ready(), cx);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = stream(&mut this.io).poll_flush(cx);
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
        let this = self.get_mut();
        if this.connection.rest.get() == Rest::Begun {
            return Poll::Ready(Ok(()));
        }
        stream(&mut this.io).poll_shutdown(cx)
    }
}
