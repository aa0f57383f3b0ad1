//! One WebSocket session: `receive` and `send` for the application.

use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::http::websocket::{Message as Frame, Sender};
use bimetal_runtime::http::{header, HeaderName, HeaderValue, StatusCode};
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::{Body, Head, Response};
use bytes::BytesMut;
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tokio::sync::{mpsc, oneshot, Mutex as AsyncMutex, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::message::{to_bytes, unexpected, Message};
use super::scope;
use crate::application::Application;
use crate::awaitable::{nothing, pending, Awaitable, Outcome};
use crate::cpu_time::Meter;
use crate::drive::{drive, Ending};
use crate::event_loop::{LoopSide, LoopTask};
use crate::exchanges::Exchange;
use crate::refusal;

/// The code of an end without a close frame (RFC 6455, 7.1.5).
const BROKEN: u16 = 1006;

type HeaderFields = Vec<(HeaderName, HeaderValue)>;

/// What the application made of the handshake.
pub(crate) enum Decision {
    /// Accepted; `sender` is answered with the way to the client.
    Accept { subprotocol: Option<String>, headers: HeaderFields, sender: oneshot::Sender<Sender> },
    /// Denied with this response.
    Deny(Response),
}

/// What the client has sent, and its place among what waits for the application.
pub(crate) struct Received {
    pub(crate) frame: Frame,
    pub(crate) _room: OwnedSemaphorePermit,
}

/// A handshake on its way to the application.
pub(crate) struct WebSocketExchange {
    pub(crate) application: Arc<Application>,
    pub(crate) head: Head,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) messages: mpsc::Receiver<Received>,
    pub(crate) decide: oneshot::Sender<Decision>,
    pub(crate) gone: CancellationToken,
    pub(crate) running: Option<Exchange>,
}

impl LoopTask for WebSocketExchange {
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, _taken: Instant) {
        let exchange = *self;
        let application = exchange.application;
        let channel = Arc::new(Channel {
            stage: Mutex::new(Stage::Handshake(exchange.decide)),
            incoming: AsyncMutex::new(Incoming {
                connected: false,
                messages: exchange.messages,
                ended: false,
            }),
            gone: exchange.gone,
        });
        let awaitable = (|| {
            let scope = scope::websocket(py, &exchange.head, &exchange.subprotocols, &application)?;
            let channel = WebSocketChannel { channel: Arc::clone(&channel), side: Arc::clone(side) };
            let channel = Bound::new(py, channel)?;
            let arguments =
                (scope, channel.getattr(intern!(py, "receive"))?, channel.getattr(intern!(py, "send"))?);
            application.asgi.bind(py).call1(arguments)
        })();
        let ending =
            WebSocketEnding { application, channel, head: exchange.head, _running: exchange.running };
        drive(py, side, awaitable, Meter::off(), Box::new(ending));
    }

    fn refuse(self: Box<Self>, why: Refusal) {
        let _ = self.decide.send(Decision::Deny(refusal::response(why)));
    }
}

enum Stage {
    /// The application has not decided.
    Handshake(oneshot::Sender<Decision>),
    /// It answers the handshake with a response of its own.
    Denying { decide: oneshot::Sender<Decision>, response: Response, body: BytesMut },
    /// It accepted, and the way to the client is being made.
    Accepting,
    /// The session.
    Open(Sender),
    /// Closed by the application, or denied.
    Closed,
}

/// The application's first message.
enum First {
    Accept { subprotocol: Option<String>, headers: HeaderFields },
    Deny(Response),
    Close,
}

struct Incoming {
    connected: bool,
    messages: mpsc::Receiver<Received>,
    ended: bool,
}

struct Channel {
    stage: Mutex<Stage>,
    incoming: AsyncMutex<Incoming>,
    gone: CancellationToken,
}

enum Event {
    Connect,
    Frame(Frame),
}

impl Event {
    fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let message = PyDict::new(py);
        let kind = match self {
            Event::Connect => intern!(py, "websocket.connect"),
            Event::Frame(Frame::Text(text)) => {
                message.set_item(intern!(py, "text"), text)?;
                intern!(py, "websocket.receive")
            }
            Event::Frame(Frame::Binary(bytes)) => {
                message.set_item(intern!(py, "bytes"), PyBytes::new(py, &bytes))?;
                intern!(py, "websocket.receive")
            }
            Event::Frame(Frame::Close(code, reason)) => {
                message.set_item(intern!(py, "code"), code)?;
                message.set_item(intern!(py, "reason"), reason)?;
                intern!(py, "websocket.disconnect")
            }
        };
        message.set_item(intern!(py, "type"), kind)?;
        Ok(message.into_any().unbind())
    }
}

impl Channel {
    async fn receive(self: Arc<Self>) -> Event {
        let mut incoming = self.incoming.lock().await;
        if !incoming.connected {
            incoming.connected = true;
            return Event::Connect;
        }
        if incoming.ended {
            return broken();
        }
        let received = tokio::select! {
            biased;
            received = incoming.messages.recv() => received,
            // Before the session is open this is the only sign of a client that went away.
            () = self.gone.cancelled() => None,
        };
        let frame = received.map(|received| received.frame);
        incoming.ended = matches!(frame, None | Some(Frame::Close(..)));
        match frame {
            None | Some(Frame::Close(BROKEN, _)) => broken(),
            Some(frame) => Event::Frame(frame),
        }
    }

    /// The first message: the decision.
    fn decide(
        self: &Arc<Self>,
        kind: &str,
        message: &Message<'_, '_>,
    ) -> PyResult<Option<oneshot::Receiver<Sender>>> {
        // The message is read before the lock is taken: reading may run the application's code.
        let answer = match kind {
            "websocket.accept" => {
                let (subprotocol, headers) = accept(message)?;
                First::Accept { subprotocol, headers }
            }
            "websocket.close" => First::Close,
            "websocket.http.response.start" => {
                let status = message.status()?;
                First::Deny(Response::new(status).with_headers(message.headers()?))
            }
            other => return Err(PyRuntimeError::new_err(format!(
                "Expected ASGI message 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' but got '{other}'."
            ))),
        };
        let mut stage = self.stage.lock();
        let decide = match std::mem::replace(&mut *stage, Stage::Closed) {
            Stage::Handshake(decide) => decide,
            other => {
                *stage = other;
                return Err(PyRuntimeError::new_err("the handshake has been decided already"));
            }
        };
        match answer {
            First::Accept { subprotocol, headers } => {
                let (sender, opened) = oneshot::channel();
                let _ = decide.send(Decision::Accept { subprotocol, headers, sender });
                *stage = Stage::Accepting;
                Ok(Some(opened))
            }
            First::Deny(response) => {
                *stage = Stage::Denying { decide, response, body: BytesMut::new() };
                Ok(None)
            }
            First::Close => {
                let _ = decide.send(Decision::Deny(Response::new(StatusCode::FORBIDDEN)));
                Ok(None)
            }
        }
    }

    fn deny(&self, kind: &str, message: &Message<'_, '_>) -> PyResult<()> {
        if kind != "websocket.http.response.body" {
            return Err(unexpected("websocket.http.response.body", kind));
        }
        let (bytes, more) = (message.body()?, message.more_body()?);
        let mut stage = self.stage.lock();
        if let Stage::Denying { body, .. } = &mut *stage {
            body.extend_from_slice(&bytes);
        }
        if !more {
            if let Stage::Denying { decide, mut response, body } =
                std::mem::replace(&mut *stage, Stage::Closed)
            {
                response.body = Body::Full(body.freeze());
                let _ = decide.send(Decision::Deny(response));
            }
        }
        Ok(())
    }
}

/// The subprotocol and the headers of an acceptance.
fn accept(message: &Message<'_, '_>) -> PyResult<(Option<String>, HeaderFields)> {
    let mut subprotocol = message
        .get(intern!(message.py(), "subprotocol"))?
        .map(|name| name.extract::<String>())
        .transpose()?;
    let mut headers = message.headers()?;
    // An application may name the subprotocol as a header instead.
    headers.retain(|(name, value)| {
        let names_it = name == header::SEC_WEBSOCKET_PROTOCOL;
        if names_it && subprotocol.is_none() {
            subprotocol = value.to_str().ok().map(str::to_owned);
        }
        !names_it
    });
    Ok((subprotocol, headers))
}

fn frame(kind: &str, message: &Message<'_, '_>) -> PyResult<Frame> {
    match kind {
        "websocket.send" => {
            match (message.get(intern!(message.py(), "bytes"))?, message.get(intern!(message.py(), "text"))?)
            {
                (Some(bytes), _) => Ok(Frame::Binary(to_bytes(&bytes)?)),
                (None, Some(text)) => Ok(Frame::Text(text.extract()?)),
                (None, None) => Err(PyValueError::new_err("websocket.send needs 'bytes' or 'text'")),
            }
        }
        "websocket.close" => {
            let code = message.get(intern!(message.py(), "code"))?.map_or(Ok(1000), |code| code.extract())?;
            let reason = message
                .get(intern!(message.py(), "reason"))?
                .map_or_else(|| Ok(String::new()), |reason| reason.extract())?;
            Ok(Frame::Close(code, reason))
        }
        other => Err(PyRuntimeError::new_err(format!(
            "Expected ASGI message 'websocket.send' or 'websocket.close', but got '{other}'."
        ))),
    }
}

/// The object whose methods the application gets as `receive` and `send`.
#[pyclass(frozen, module = "bimetal._core")]
struct WebSocketChannel {
    channel: Arc<Channel>,
    side: Arc<LoopSide>,
}

#[pymethods]
impl WebSocketChannel {
    fn receive(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let receive = Arc::clone(&self.channel).receive();
        pending(py, &self.side, async move {
            let event = receive.await;
            Box::new(move |py: Python<'_>| event.into_py(py)) as Outcome
        })
    }

    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<Awaitable>> {
        let message = Message::new(message)?;
        let kind = message.kind()?;
        enum Now {
            Decide,
            Deny,
            Send(Sender),
            Accepting,
            Closed,
        }
        let now = match &*self.channel.stage.lock() {
            Stage::Handshake(_) => Now::Decide,
            Stage::Denying { .. } => Now::Deny,
            Stage::Open(sender) => Now::Send(sender.clone()),
            Stage::Accepting => Now::Accepting,
            Stage::Closed => Now::Closed,
        };
        match now {
            Now::Decide => match self.channel.decide(&kind, &message)? {
                None => nothing(py),
                Some(opened) => {
                    let channel = Arc::clone(&self.channel);
                    pending(py, &self.side, async move {
                        let opened = opened.await;
                        let accepted = opened.is_ok();
                        *channel.stage.lock() = opened.map_or(Stage::Closed, Stage::Open);
                        Box::new(move |py: Python<'_>| {
                            if accepted { Ok(py.None()) } else { Err(PyOSError::new_err("the client has gone away")) }
                        }) as Outcome
                    })
                }
            },
            Now::Deny => {
                self.channel.deny(&kind, &message)?;
                nothing(py)
            }
            Now::Send(sender) => {
                let frame = frame(&kind, &message)?;
                let closes = matches!(frame, Frame::Close(..));
                if closes {
                    *self.channel.stage.lock() = Stage::Closed;
                }
                pending(py, &self.side, async move {
                    // To close what the client has closed already is no fault.
                    let sent = sender.send(frame).await.is_ok() || closes;
                    Box::new(move |py: Python<'_>| {
                        if sent { Ok(py.None()) } else { Err(PyOSError::new_err("the client has gone away")) }
                    }) as Outcome
                })
            }
            Now::Accepting => Err(PyRuntimeError::new_err("await the acceptance before sending anything else")),
            Now::Closed => Err(PyRuntimeError::new_err(format!(
                "Unexpected ASGI message '{kind}', after sending 'websocket.close' or response already completed."
            ))),
        }
    }
}

struct WebSocketEnding {
    application: Arc<Application>,
    channel: Arc<Channel>,
    head: Head,
    _running: Option<Exchange>,
}

impl Ending for WebSocketEnding {
    fn end(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, result: PyResult<Py<PyAny>>) {
        let path = &*self.head.path;
        let failed = match &result {
            Err(error) => {
                if error.is_instance_of::<PyException>(py) {
                    self.application.report(py, error, "WEBSOCKET", path);
                }
                true
            }
            Ok(_) => false,
        };
        let stage = std::mem::replace(&mut *self.channel.stage.lock(), Stage::Closed);
        match stage {
            Stage::Handshake(decide) | Stage::Denying { decide, .. } => {
                if !failed && !self.channel.gone.is_cancelled() {
                    tracing::error!(target: "bimetal::application", path, "the application returned without completing the handshake");
                }
                let response = Response::new(StatusCode::INTERNAL_SERVER_ERROR)
                    .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
                    .with_body("Internal Server Error");
                let _ = decide.send(Decision::Deny(response));
            }
            Stage::Open(sender) => {
                let close = if failed {
                    Frame::Close(1011, String::new())
                } else {
                    Frame::Close(1000, String::new())
                };
                let sent = pending(py, side, async move {
                    // Nobody is left to hear of a client that has gone away.
                    let _ = sender.send(close).await;
                    Box::new(|py: Python<'_>| Ok(py.None())) as Outcome
                });
                let sent = sent.map(|sent| sent.into_bound(py).into_any());
                drive(py, side, sent, Meter::off(), Box::new(Ended));
            }
            Stage::Accepting | Stage::Closed => {}
        }
    }
}

/// The client is gone without a word.
fn broken() -> Event {
    Event::Frame(Frame::Close(BROKEN, String::new()))
}

/// Of a task whose end means nothing to anybody.
struct Ended;

impl Ending for Ended {
    fn end(self: Box<Self>, _py: Python<'_>, _side: &Arc<LoopSide>, _result: PyResult<Py<PyAny>>) {}
}
