//! A server seen from inside the process: asked without a connection, and for its counters.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::http::{header, Address, Body, Errand, HeaderName, HeaderValue, Response, StatusCode};
use crate::metrics::{Counters, RouteTimes, SeriesList, Stats};

/// Errands deep a request may be; a further one is refused, because two routes that call each other would never end.
pub const MAX_ERRAND_DEPTH: u32 = 8;

/// Errands that may wait for one I/O worker; a further one is answered 503.
const WAITING: usize = 1024;

/// A handle of a server, for whoever runs inside of it: answers [errands](Errand) by its routes, as they are when the errand
/// begins, on one of its I/O workers. Clones share; it keeps nothing of the server alive.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

struct Shared {
    local: Address,
    workers: Box<[(mpsc::Sender<Sent>, Arc<Counters>)]>,
    series: SeriesList,
    /// Whose turn it is to take an errand from a thread that is no worker.
    turn: AtomicUsize,
}

/// An errand on its way to a worker.
pub(super) struct Sent {
    pub(super) errand: Errand,
    pub(super) local: Address,
    pub(super) respond: oneshot::Sender<Result<ErrandReply, ErrandError>>,
}

/// A worker's end of the handle.
pub(super) struct Inbox {
    pub(super) counters: Arc<Counters>,
    pub(super) errands: mpsc::Receiver<Sent>,
    /// For the worker to say that it is the one.
    pub(super) seat: Seat,
}

/// Which worker of which server a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    server: usize,
    index: usize,
}

thread_local! {
    static SEAT: Cell<Option<Seat>> = const { Cell::new(None) };
}

impl Seat {
    /// The calling thread is this worker.
    pub(super) fn take(self) {
        SEAT.set(Some(self));
    }

    /// The worker's number.
    pub(super) fn index(self) -> usize {
        self.index
    }
}

/// The answer to an errand, whole.
#[derive(Clone, Debug)]
pub struct ErrandReply {
    /// The status code.
    pub status: StatusCode,
    /// Header fields in no certain order, but those of one name in theirs; none that say how the body is framed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// Why an errand has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrandError {
    /// The target is not path and query; why.
    Target(String),
    /// It asks for another protocol (a WebSocket), which only a connection can become.
    Upgrade,
    /// It is more than [`MAX_ERRAND_DEPTH`] errands deep.
    TooDeep,
    /// The server does not serve: it has not begun, or has ended.
    Stopped,
    /// Its deadline has passed.
    TimedOut,
    /// The answer's body is larger than so many bytes.
    TooLarge(usize),
    /// The answer ended before it was whole; why.
    CutShort(String),
}

impl fmt::Display for ErrandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrandError::Target(why) => write!(f, "the target is not path and query: {why}"),
            ErrandError::Upgrade => f.write_str(
                "a call inside the server cannot become a WebSocket or any other protocol; connect to the server instead",
            ),
            ErrandError::TooDeep => write!(
                f,
                "{MAX_ERRAND_DEPTH} routes have called one another already; look for routes that call each other in a circle"
            ),
            ErrandError::Stopped => f.write_str("the server does not serve: it has not begun, or has ended"),
            ErrandError::TimedOut => f.write_str("the route had no answer by the deadline of the handler that called it"),
            ErrandError::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            ErrandError::CutShort(why) => write!(f, "the answer ended before it was whole: {why}"),
        }
    }
}

impl std::error::Error for ErrandError {}

/// An errand's answer to come. Dropped before, the route's handler is told as if a client had gone away.
pub struct PendingReply {
    receiver: oneshot::Receiver<Result<ErrandReply, ErrandError>>,
}

impl ServerHandle {
    /// The handle of a server that listens on `local`, and what each of its workers needs of it.
    pub(super) fn new(local: Address, workers: usize) -> (ServerHandle, Vec<Inbox>) {
        let (mut ends, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (sender, errands) = mpsc::channel(WAITING);
            let counters = Arc::new(Counters::default());
            ends.push((sender, Arc::clone(&counters)));
            inboxes.push((counters, errands));
        }
        let series = SeriesList::new(workers);
        let shared = Arc::new(Shared { local, workers: ends.into(), series, turn: AtomicUsize::new(0) });
        let server = Arc::as_ptr(&shared).addr();
        let inboxes = inboxes.into_iter().enumerate();
        let inboxes = inboxes
            .map(|(index, (counters, errands))| Inbox { counters, errands, seat: Seat { server, index } })
            .collect();
        (ServerHandle { shared }, inboxes)
    }

    /// Sends an errand on its way; on an I/O worker of this server it stays there. Never waits.
    pub fn call(&self, errand: Errand) -> PendingReply {
        let (respond, receiver) = oneshot::channel();
        if errand.depth > MAX_ERRAND_DEPTH {
            let _ = respond.send(Err(ErrandError::TooDeep));
            return PendingReply { receiver };
        }
        let shared = &*self.shared;
        let seat = SEAT.get().filter(|seat| seat.server == Arc::as_ptr(&self.shared).addr());
        let index = match seat {
            Some(seat) => seat.index,
            None => shared.turn.fetch_add(1, Ordering::Relaxed) % shared.workers.len(),
        };
        let sent = Sent { errand, local: shared.local.clone(), respond };
        match shared.workers[index].0.try_send(sent) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(sent)) => {
                let _ = sent.respond.send(Ok(overloaded()));
            }
            Err(mpsc::error::TrySendError::Closed(sent)) => {
                let _ = sent.respond.send(Err(ErrandError::Stopped));
            }
        }
        PendingReply { receiver }
    }

    /// The server's counters so far; errands count like requests from outside.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for (_, counters) in &self.shared.workers {
            counters.add_to(&mut stats);
        }
        stats
    }

    /// Where the time of requests went so far, for every route and method that had one, in the order of the routes.
    pub fn route_times(&self) -> Vec<RouteTimes> {
        self.shared.series.times()
    }

    pub(super) fn series(&self) -> &SeriesList {
        &self.shared.series
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("local", &self.shared.local).finish_non_exhaustive()
    }
}

impl PendingReply {
    /// Waits on the calling thread, which must not be one that polls futures of tokio, like an I/O worker.
    ///
    /// # Panics
    ///
    /// Where it is one.
    pub fn wait(self) -> Result<ErrandReply, ErrandError> {
        self.receiver.blocking_recv().unwrap_or(Err(ErrandError::Stopped))
    }
}

impl Future for PendingReply {
    type Output = Result<ErrandReply, ErrandError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.receiver).poll(cx)).unwrap_or(Err(ErrandError::Stopped)))
    }
}

/// The answer where too many errands wait.
fn overloaded() -> ErrandReply {
    let response = Response::detail(StatusCode::SERVICE_UNAVAILABLE, "The server is overloaded")
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"));
    let body = match response.body {
        Body::Full(bytes) => bytes,
        Body::Stream(_) => Bytes::new(),
    };
    ErrandReply { status: response.status, headers: response.headers.into_vec(), body }
}
