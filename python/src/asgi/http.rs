//! One HTTP exchange: `receive` and `send` for the application, and what its end means for the client.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bimetal_runtime::http::{header, HeaderValue, Method, StatusCode};
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::{Body, Error, ErrorKind, Head, Response};
use bytes::Bytes;
use futures_core::Stream;
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::message::{unexpected, Message};
use super::scope;
use crate::application::Application;
use crate::awaitable::{nothing, pending, ready, Awaitable, Outcome};
use crate::cpu_time::Meter;
use crate::drive::{drive, Ending};
use crate::event_loop::{LoopSide, LoopTask};
use crate::exchanges::Exchange;
use crate::responder::Responder;

/// Chunks of a response that may wait for a slow client.
const CHUNKS_AHEAD: usize = 16;

/// Where the request's body comes from.
pub(crate) enum Incoming {
    /// It is there.
    Full(Bytes),
    /// It comes from the I/O worker, chunk by chunk.
    Stream(mpsc::Receiver<Bytes>),
    /// All of it has been received.
    Ended,
}

impl Incoming {
    /// The body, where all of it is there; empty otherwise.
    pub(crate) fn whole(&self) -> &[u8] {
        match self {
            Incoming::Full(bytes) => bytes,
            Incoming::Stream(_) | Incoming::Ended => &[],
        }
    }
}

/// A request on its way to an application. May cross threads; started on the loop's.
pub(crate) struct HttpExchange {
    pub(crate) application: Arc<Application>,
    pub(crate) head: Head,
    pub(crate) incoming: Incoming,
    pub(crate) respond: Responder,
    /// Cancelled when the client has gone away, and when it has its answer.
    pub(crate) gone: CancellationToken,
    pub(crate) running: Option<Exchange>,
}

impl LoopTask for HttpExchange {
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, taken: Instant) {
        let mut exchange = *self;
        exchange.respond.taken_by_loop(taken, side.is_eager());
        let application = exchange.application;
        let channel = Channel::new(&exchange.head, exchange.incoming, exchange.respond, exchange.gone);
        let awaitable = call(py, side, &application, &exchange.head, &channel);
        let ending = HttpEnding::new(application, channel, exchange.head.into(), exchange.running);
        drive(py, side, awaitable, Meter::sampled(), Box::new(ending));
    }

    fn refuse(self: Box<Self>, why: Refusal) {
        self.respond.refuse(why);
    }
}

fn call<'py>(
    py: Python<'py>,
    side: &Arc<LoopSide>,
    application: &Application,
    head: &Head,
    channel: &Arc<Channel>,
) -> PyResult<Bound<'py, PyAny>> {
    let scope = scope::http(py, head, application)?;
    let channel = Bound::new(py, HttpChannel { channel: Arc::clone(channel), side: Arc::clone(side) })?;
    let arguments = (scope, channel.getattr(intern!(py, "receive"))?, channel.getattr(intern!(py, "send"))?);
    application.asgi.bind(py).call1(arguments)
}

/// What the application has sent so far.
enum Outgoing {
    Start(Responder),
    Headed { respond: Responder, response: Response, left: Option<u64> },
    Streaming { chunks: mpsc::Sender<Bytes>, complete: Arc<AtomicBool>, left: Option<u64> },
    Done,
}

/// Both directions of one exchange.
pub(crate) struct Channel {
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    gone: CancellationToken,
    is_head: bool,
    /// Whether what comes now answers an exception that the application did not handle.
    unhandled: AtomicBool,
}

/// A message for the application.
enum Event {
    Chunk(Bytes, bool),
    Disconnect,
}

impl Event {
    fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let message = PyDict::new(py);
        match self {
            Event::Chunk(bytes, more) => {
                message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
                message.set_item(intern!(py, "body"), PyBytes::new(py, &bytes))?;
                message.set_item(intern!(py, "more_body"), more)?;
            }
            Event::Disconnect => message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?,
        }
        Ok(message.into_any().unbind())
    }
}

impl Channel {
    pub(crate) fn new(
        head: &Head,
        incoming: Incoming,
        respond: Responder,
        gone: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Channel {
            incoming: Mutex::new(incoming),
            outgoing: Mutex::new(Outgoing::Start(respond)),
            gone,
            is_head: head.method == Method::HEAD,
            unhandled: AtomicBool::new(false),
        })
    }

    /// Sends a whole response. False when the application has begun one already.
    pub(crate) fn respond(&self, response: Response) -> bool {
        let mut outgoing = self.outgoing.lock();
        match std::mem::replace(&mut *outgoing, Outgoing::Done) {
            Outgoing::Start(respond) => {
                respond.send(response);
                self.gone.cancel();
                true
            }
            other => {
                *outgoing = other;
                false
            }
        }
    }

    /// The application's task has its first turn.
    fn begins(&self, now: Instant) {
        if let Outgoing::Start(respond) = &mut *self.outgoing.lock() {
            respond.begins(now);
        }
    }

    /// A result has been made bytes, which took so long.
    pub(crate) fn serialised(&self, duration: Duration) {
        if let Outgoing::Start(respond) = &mut *self.outgoing.lock() {
            respond.serialised(duration);
        }
    }

    /// Whether the application has begun its response.
    pub(crate) fn is_started(&self) -> bool {
        !matches!(*self.outgoing.lock(), Outgoing::Start(_))
    }

    /// The next part of the body, `None` once all of it has been given out.
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut incoming = self.incoming.lock();
        match &mut *incoming {
            Incoming::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *incoming = Incoming::Ended;
                Poll::Ready(Some(Event::Chunk(bytes, false)))
            }
            Incoming::Stream(chunks) => match chunks.poll_recv(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(bytes)) => Poll::Ready(Some(Event::Chunk(bytes, true))),
                Poll::Ready(None) => {
                    *incoming = Incoming::Ended;
                    Poll::Ready(Some(Event::Chunk(Bytes::new(), false)))
                }
            },
            Incoming::Ended => Poll::Ready(None),
        }
    }

    async fn receive(self: Arc<Self>) -> Event {
        if self.gone.is_cancelled() {
            return Event::Disconnect;
        }
        let next = poll_fn(|cx| self.poll_body(cx));
        let event = tokio::select! {
            biased;
            event = next => event,
            () = self.gone.cancelled() => Some(Event::Disconnect),
        };
        match event {
            Some(event) => event,
            None => {
                self.gone.cancelled().await;
                Event::Disconnect
            }
        }
    }

    fn start(&self, message: &Message<'_, '_>) -> PyResult<()> {
        let (status, headers) = (message.status()?, message.headers()?);
        let mut outgoing = self.outgoing.lock();
        match std::mem::replace(&mut *outgoing, Outgoing::Done) {
            Outgoing::Start(respond) => {
                let mut response = Response::new(status).with_headers(headers);
                response.unhandled = self.unhandled.load(Ordering::Relaxed);
                let bodiless =
                    self.is_head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
                let left = if bodiless { None } else { content_length(&response.headers) };
                *outgoing = Outgoing::Headed { respond, response, left };
                Ok(())
            }
            other => {
                *outgoing = other;
                Err(unexpected("http.response.body", "http.response.start"))
            }
        }
    }

    /// Takes a part of the body. The chunk comes back when the client is slow: it has to be sent with patience.
    fn body(&self, bytes: Bytes, more: bool) -> PyResult<Option<(mpsc::Sender<Bytes>, Bytes)>> {
        let mut outgoing = self.outgoing.lock();
        match std::mem::replace(&mut *outgoing, Outgoing::Done) {
            Outgoing::Start(respond) => {
                *outgoing = Outgoing::Start(respond);
                Err(unexpected("http.response.start", "http.response.body"))
            }
            Outgoing::Headed { respond, mut response, left } => {
                let left = match count(left, &bytes, more) {
                    Ok(left) => left,
                    Err(error) => {
                        *outgoing = Outgoing::Headed { respond, response, left };
                        return Err(error);
                    }
                };
                if !more {
                    response.body = Body::Full(bytes);
                    respond.send(response);
                    self.gone.cancel();
                    return Ok(None);
                }
                let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD);
                let complete = Arc::new(AtomicBool::new(false));
                response.body = Body::Stream(Box::pin(ResponseStream {
                    chunks: receiver,
                    complete: Arc::clone(&complete),
                    _gone: self.gone.clone().drop_guard(),
                }));
                if !bytes.is_empty() {
                    // The channel is new: there is room.
                    let _ = chunks.try_send(bytes);
                }
                respond.send(response);
                *outgoing = Outgoing::Streaming { chunks, complete, left };
                Ok(None)
            }
            Outgoing::Streaming { chunks, complete, left } => {
                let left = match count(left, &bytes, more) {
                    Ok(left) => left,
                    Err(error) => {
                        *outgoing = Outgoing::Streaming { chunks, complete, left };
                        return Err(error);
                    }
                };
                let slow = if bytes.is_empty() {
                    None
                } else {
                    match chunks.try_send(bytes) {
                        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
                        Err(mpsc::error::TrySendError::Full(bytes)) => Some((chunks.clone(), bytes)),
                    }
                };
                if more {
                    *outgoing = Outgoing::Streaming { chunks, complete, left };
                } else {
                    // The last sender ends the stream; this says that it ended as it should.
                    complete.store(true, Ordering::Release);
                }
                Ok(slow)
            }
            Outgoing::Done if self.gone.is_cancelled() => Ok(None),
            Outgoing::Done => Err(PyRuntimeError::new_err(
                "Unexpected ASGI message 'http.response.body' sent, after response already completed.",
            )),
        }
    }

    /// The application will send nothing more: answers 500, or breaks off what it began. True when it was all sent.
    fn abandon(&self) -> bool {
        match std::mem::replace(&mut *self.outgoing.lock(), Outgoing::Done) {
            // The head is promised already: it goes out, and the body breaks off.
            Outgoing::Headed { respond, mut response, .. } => {
                let (_, chunks) = mpsc::channel(1);
                response.body = Body::Stream(Box::pin(ResponseStream {
                    chunks,
                    complete: Arc::new(AtomicBool::new(false)),
                    _gone: self.gone.clone().drop_guard(),
                }));
                respond.send(response);
                false
            }
            Outgoing::Start(respond) => {
                let response = Response::new(StatusCode::INTERNAL_SERVER_ERROR)
                    .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
                    .with_body("Internal Server Error")
                    .unhandled();
                respond.send(response);
                false
            }
            Outgoing::Streaming { .. } => false,
            Outgoing::Done => true,
        }
    }
}

fn content_length(headers: &[(header::HeaderName, HeaderValue)]) -> Option<u64> {
    let (_, value) = headers.iter().find(|(name, _)| name == header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Counts `bytes` against the announced length, in uvicorn's words where they do not agree.
fn count(left: Option<u64>, bytes: &Bytes, more: bool) -> PyResult<Option<u64>> {
    let Some(left) = left else { return Ok(None) };
    let Some(left) = left.checked_sub(bytes.len() as u64) else {
        return Err(PyRuntimeError::new_err("Response content longer than Content-Length"));
    };
    if !more && left > 0 {
        return Err(PyRuntimeError::new_err("Response content shorter than Content-Length"));
    }
    Ok(Some(left))
}

/// A streamed response on its way to the I/O worker.
struct ResponseStream {
    chunks: mpsc::Receiver<Bytes>,
    complete: Arc<AtomicBool>,
    _gone: DropGuard,
}

impl Stream for ResponseStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.chunks.poll_recv(cx) {
            Poll::Ready(None) if !self.complete.load(Ordering::Acquire) => {
                let error =
                    Error::new(ErrorKind::Handler, "the application ended in the middle of its response");
                Poll::Ready(Some(Err(error)))
            }
            other => other.map(|chunk| chunk.map(Ok)),
        }
    }
}

/// The object whose methods the application gets as `receive` and `send`.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct HttpChannel {
    pub(crate) channel: Arc<Channel>,
    pub(crate) side: Arc<LoopSide>,
}

#[pymethods]
impl HttpChannel {
    fn receive(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        // A body that is there already needs no future.
        if !self.channel.gone.is_cancelled() && matches!(*self.channel.incoming.lock(), Incoming::Full(_)) {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            if let Poll::Ready(Some(event)) = self.channel.poll_body(&mut cx) {
                return ready(py, event.into_py(py)?);
            }
        }
        let receive = Arc::clone(&self.channel).receive();
        pending(py, &self.side, async move {
            let event = receive.await;
            Box::new(move |py: Python<'_>| event.into_py(py)) as Outcome
        })
    }

    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<Awaitable>> {
        let message = Message::new(message)?;
        let slow = match &*message.kind()? {
            "http.response.start" => {
                self.channel.start(&message)?;
                None
            }
            "http.response.body" => self.channel.body(message.body()?, message.more_body()?)?,
            // Not ASGI: from the package's own layer right inside `ServerErrorMiddleware`.
            "bimetal.unhandled" => {
                self.channel.unhandled.store(true, Ordering::Relaxed);
                None
            }
            other => return Err(unexpected("http.response.start' or 'http.response.body", other)),
        };
        match slow {
            None => nothing(py),
            Some((chunks, bytes)) => pending(py, &self.side, async move {
                // A client that went away takes nothing any more; the application hears of it from `receive`.
                let _ = chunks.send(bytes).await;
                Box::new(|py: Python<'_>| Ok(py.None())) as Outcome
            }),
        }
    }
}

/// What the end of the application's coroutine means for the client.
///
/// While one exists, something of its request may run in Python: a background task, a generator that ends after the
/// response. A server that stops waits for that.
pub(crate) struct HttpEnding {
    application: Arc<Application>,
    channel: Arc<Channel>,
    head: Arc<Head>,
    /// Ends with this: nothing of the request runs any more.
    #[expect(dead_code, reason = "held for its end")]
    running: Option<Exchange>,
}

impl Ending for HttpEnding {
    fn begins(&mut self, now: Instant) {
        self.channel.begins(now);
    }

    fn end(self: Box<Self>, py: Python<'_>, _side: &Arc<LoopSide>, result: PyResult<Py<PyAny>>) {
        self.ended(py, result);
    }
}

impl Drop for HttpEnding {
    fn drop(&mut self) {
        self.application.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpEnding {
    pub(crate) fn new(
        application: Arc<Application>,
        channel: Arc<Channel>,
        head: Arc<Head>,
        running: Option<Exchange>,
    ) -> Self {
        application.busy.fetch_add(1, Ordering::Relaxed);
        HttpEnding { application, channel, head, running }
    }

    /// The application's coroutine has ended with `result`.
    pub(crate) fn ended(self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        let (method, path) = (self.head.method.as_str(), &*self.head.path);
        match result {
            Ok(_) if self.channel.gone.is_cancelled() => {
                self.channel.abandon();
            }
            Ok(_) => {
                let started = self.channel.is_started();
                if !self.channel.abandon() {
                    let what = if started { "completing" } else { "starting" };
                    tracing::error!(target: "bimetal::application", method, path, "the application returned without {what} its response");
                }
            }
            Err(error) => {
                // The exception is reported before the client can see the answer it leads to.
                if error.is_instance_of::<PyException>(py) {
                    self.application.report(py, &error, method, path);
                }
                self.channel.abandon();
            }
        }
        self.channel.gone.cancel();
    }
}
