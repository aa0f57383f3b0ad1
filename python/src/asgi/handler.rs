//! The I/O worker's end of the ASGI lane: hands the head over, feeds the body, awaits the answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::http::websocket::{self, Message};
use bimetal_runtime::http::{spawn_local, BodyReader, StatusCode};
use bimetal_runtime::{Answer, Handler, Head, Request, Response};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, Semaphore};
use tokio_util::sync::CancellationToken;

use super::http::{HttpExchange, Incoming};
use super::websocket::{Decision, Received, WebSocketExchange};
use crate::lanes::Lanes;
use crate::responder::Responder;

/// Chunks of a request body that may wait for the application.
const CHUNKS_AHEAD: usize = 16;
/// A body up to this size, in bytes, is given to the application as one message if it came with the head.
const SMALL_BODY: usize = 64 * 1024;

/// What a WebSocket's client may have sent that the application has not received.
pub(crate) struct Ahead {
    /// Messages, at least one.
    pub(crate) messages: usize,
    /// Their bytes, beyond the first message.
    pub(crate) bytes: usize,
}

impl Ahead {
    /// As uvicorn has it.
    pub(crate) const MESSAGES: usize = 32;
}

/// Answers every request it gets with the whole application.
pub(crate) struct AsgiHandler {
    pub(crate) lanes: Arc<Lanes>,
}

impl Handler for AsgiHandler {
    fn call(&self, request: Request) -> Answer {
        let lanes = Arc::clone(&self.lanes);
        if request.is_websocket() {
            return Answer::Later(Box::pin(websocket(lanes, request)));
        }
        Answer::Later(Box::pin(http(lanes, request)))
    }
}

/// Runs the application for a request whose body, if any, is still to be read.
async fn http(lanes: Arc<Lanes>, mut request: Request) -> Response {
    let head = request.to_head();
    if !has_body(&head) {
        return exchange(&lanes, head, Incoming::Full(Bytes::new())).await;
    }
    let mut body = request.take_body();
    match body.arrived(SMALL_BODY).await {
        Ok((bytes, true)) => exchange(&lanes, head, Incoming::Full(bytes)).await,
        Ok((first, false)) => {
            let (incoming, refused) = stream_body(body, first);
            unless_refused(refused, exchange(&lanes, head, Incoming::Stream(incoming))).await
        }
        Err(error) => Response::from(&error),
    }
}

/// Reads a request's body chunk by chunk, after what has come of it already. The second end has an answer when something is
/// wrong with the body.
pub(crate) fn stream_body(
    mut body: BodyReader,
    first: Bytes,
) -> (mpsc::Receiver<Bytes>, oneshot::Receiver<Response>) {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let (refuse, refused) = oneshot::channel();
    if !first.is_empty() {
        // The channel is new: there is room.
        let _ = sender.try_send(first);
    }
    // Of its own, as the application may answer before it has read everything, and read on while it answers.
    spawn_local(async move {
        while let Some(chunk) = body.chunk().await {
            match chunk {
                Ok(bytes) => {
                    if sender.send(bytes).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    // The client hears what is wrong with its body; for the application it goes away.
                    let _ = refuse.send(Response::from(&error));
                    // Ending the channel would look like the end of the body.
                    return sender.closed().await;
                }
            }
        }
    });
    (receiver, refused)
}

/// The response, or what the client hears of its body.
pub(crate) async fn unless_refused(
    refused: oneshot::Receiver<Response>,
    response: impl Future<Output = Response>,
) -> Response {
    tokio::select! {
        biased;
        Ok(refusal) = refused => refusal,
        response = response => response,
    }
}

async fn exchange(lanes: &Arc<Lanes>, head: Head, incoming: Incoming) -> Response {
    let (respond, response) = Responder::new();
    let gone = CancellationToken::new();
    // Dropped with this future when the client goes away.
    let guard = gone.clone().drop_guard();
    let posted = respond.posted();
    let exchange = HttpExchange {
        application: Arc::clone(&lanes.application),
        running: lanes.begin(head.peer),
        head,
        incoming,
        respond,
        gone,
    };
    lanes.port.admit(posted, Box::new(exchange));
    let response = answered(response).await;
    guard.disarm();
    response
}

/// The response of a lane, or 500 when it ended without one.
pub(crate) async fn answered(response: oneshot::Receiver<Response>) -> Response {
    response.await.unwrap_or_else(|_| {
        Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").unhandled()
    })
}

fn has_body(head: &Head) -> bool {
    match head.header("content-length") {
        Some(length) => length.as_bytes() != b"0",
        None => head.header("transfer-encoding").is_some(),
    }
}

async fn websocket(lanes: Arc<Lanes>, request: Request) -> Response {
    let head = request.to_head();
    let subprotocols = websocket::subprotocols(&request);
    let (incoming, messages) = mpsc::channel(lanes.websockets.messages);
    let bytes = u32::try_from(lanes.websockets.bytes).unwrap_or(u32::MAX);
    let (decide, decision) = oneshot::channel();
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    let exchange = WebSocketExchange {
        application: Arc::clone(&lanes.application),
        running: lanes.begin(head.peer),
        head,
        subprotocols,
        messages,
        decide,
        gone,
    };
    lanes.port.admit(Instant::now(), Box::new(exchange));
    match decision.await {
        Ok(Decision::Accept { subprotocol, headers, sender }) => {
            match websocket::accept(request, subprotocol.as_deref(), headers) {
                Ok((response, to_client, mut from_client)) => {
                    let _ = sender.send(to_client);
                    spawn_local(async move {
                        // Whatever ends the session ends this: the guard tells the application.
                        let _guard = guard;
                        // A few bytes can inflate to the largest message: their number alone is no bound.
                        let room = Arc::new(Semaphore::new(bytes as usize));
                        while let Some(frame) = from_client.next().await {
                            let size = u32::try_from(size(&frame)).unwrap_or(u32::MAX).min(bytes);
                            let Ok(room) = Arc::clone(&room).acquire_many_owned(size).await else { return };
                            if incoming.send(Received { frame, _room: room }).await.is_err() {
                                return;
                            }
                        }
                    });
                    response
                }
                Err(error) => Response::from(&error),
            }
        }
        Ok(Decision::Deny(response)) => response,
        Err(_) => Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        Message::Close(..) => 0,
    }
}
