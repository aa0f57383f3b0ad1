//! What the two directions of a WebSocket and the server tell each other.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

use super::SERVER_RESTARTS;

/// Answers to pings that may wait to be written. Of more than that at a time only the latest is answered.
const PONGS: usize = 32;

/// The shared state of one WebSocket.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers to pings.
    pongs: VecDeque<Bytes>,
    /// A close frame to send, before anything the application has queued.
    close: Option<(u16, String)>,
    /// A close frame has been sent or the connection is gone.
    closed: bool,
    /// No answer to our close frame is to be waited for.
    failed: bool,
    /// The server stops.
    going_away: bool,
    /// The application has dropped the receiver.
    receiver_dropped: bool,
    /// Somebody waits for what the client sends.
    listening: bool,
    /// Somebody has begun to wait since the last ping: something has come, or may have been there.
    heard: bool,
    /// The client does not answer pings.
    lost: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// What the writing direction has to do next, besides the application's messages.
pub(super) enum Order {
    Pong(Bytes),
    Close(u16, String),
    /// Nothing; `abandoned`: nobody reads either.
    Nothing {
        abandoned: bool,
    },
}

/// Why a WebSocket ends that neither side has closed.
pub(super) enum End {
    /// The server stops.
    GoingAway,
    /// The client does not answer pings.
    Lost,
}

/// Somebody waits for what the client sends.
pub(super) struct Listening<'a> {
    link: &'a Link,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.link.state.lock().listening = false;
    }
}

impl Link {
    /// The server stops: the client is told, and so is the application.
    pub(crate) fn go_away(&self) {
        let mut state = self.state.lock();
        state.going_away = true;
        if state.close.is_none() && !state.closed {
            state.close = Some((SERVER_RESTARTS, String::new()));
        }
        let reader = state.reader.take();
        state.wake_writer();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    pub(super) fn pong(&self, payload: Bytes) {
        let mut state = self.state.lock();
        if state.pongs.len() == PONGS {
            state.pongs.pop_back();
        }
        state.pongs.push_back(payload);
        state.wake_writer();
    }

    /// While what it returns is held, somebody waits for what the client sends.
    pub(super) fn listen(&self) -> Listening<'_> {
        let mut state = self.state.lock();
        (state.listening, state.heard) = (true, true);
        Listening { link: self }
    }

    /// A ping is sent now.
    pub(super) fn ask(&self) {
        self.state.lock().heard = false;
    }

    /// Whether something has come since the last ping, or nobody would have noticed.
    pub(super) fn may_have_heard(&self) -> bool {
        let state = self.state.lock();
        state.heard || !state.listening
    }

    /// The client does not answer pings: its receiver reports the end.
    pub(super) fn lose(&self) {
        let mut state = self.state.lock();
        (state.lost, state.failed) = (true, true);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Has a close frame sent, unless one was. After a failure the client's answer is not waited for.
    pub(super) fn close(&self, code: u16, reason: &str, failed: bool) {
        let mut state = self.state.lock();
        if !state.closed {
            state.close.get_or_insert_with(|| (code, reason.to_owned()));
        }
        state.failed |= failed;
        state.wake_writer();
    }

    pub(super) fn receiver_dropped(&self) {
        let mut state = self.state.lock();
        state.receiver_dropped = true;
        state.wake_writer();
    }

    /// Why nothing more is to be read. If there is no reason, `waker` is woken when there is one.
    pub(super) fn end(&self, waker: &Waker) -> Option<End> {
        let mut state = self.state.lock();
        if state.lost {
            return Some(End::Lost);
        }
        if state.going_away {
            return Some(End::GoingAway);
        }
        remember(&mut state.reader, waker);
        None
    }

    /// The next order; `waker` is woken when there may be another.
    pub(super) fn order(&self, waker: &Waker) -> Order {
        let mut state = self.state.lock();
        remember(&mut state.writer, waker);
        if let Some(payload) = state.pongs.pop_front() {
            Order::Pong(payload)
        } else if let Some((code, reason)) = state.close.take() {
            Order::Close(code, reason)
        } else {
            Order::Nothing { abandoned: state.receiver_dropped }
        }
    }

    pub(super) fn set_closed(&self) {
        self.state.lock().closed = true;
    }

    /// Whether the connection ends as soon as the close frame is out.
    pub(super) fn has_failed(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        remember(&mut state.writer, waker);
        state.failed
    }
}

impl State {
    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
