//! What the two directions of a WebSocket and the server tell each other.

use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

use super::SERVER_RESTARTS;

/// The shared state of one WebSocket.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The answer to the latest ping; an earlier one that was not sent yet need not be.
    pong: Option<Bytes>,
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
        state.pong = Some(payload);
        state.wake_writer();
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

    /// Whether the server stops; if not, `waker` is woken when it does.
    pub(super) fn is_going_away(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if !state.going_away {
            remember(&mut state.reader, waker);
        }
        state.going_away
    }

    /// The next order; `waker` is woken when there may be another.
    pub(super) fn order(&self, waker: &Waker) -> Order {
        let mut state = self.state.lock();
        remember(&mut state.writer, waker);
        if let Some(payload) = state.pong.take() {
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
