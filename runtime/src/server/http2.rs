//! HTTP/2: each stream's request is answered by the same service as those of HTTP/1.

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{ready, Poll};
use std::time::Duration;

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Ping, PingPong, Reason, SendStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until, timeout, Instant};

use super::respond::Framed;
use super::service;
use super::worker::Worker;
use crate::http::{http2, Connection, Early};

/// Requests at a time on one connection; more are refused until one has been answered.
const MAX_STREAMS: u32 = 100;
/// The largest head of a request; beyond it the answer is 431.
const MAX_HEAD: u32 = 32 * 1024;
/// Bytes of a request's body, and of all those on a connection, that are taken ahead of whoever reads them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of a response that wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Requests that a client has given up before anybody looked at them, and answers that it has made impossible.
const MAX_RESETS_UNSEEN: usize = 20;
const MAX_OWN_RESETS: usize = 100;
/// Requests that a client may give up, beyond those that it let be answered; with one more the connection is closed.
const MAX_RESETS: u64 = 100;
/// How often the client is asked whether it is still there, and how long it may take to say so.
const PING_PACE: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(30);

/// What the tasks of one connection share.
struct Shared {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    peer: Option<SocketAddr>,
    active: Cell<usize>,
    answered: Cell<u64>,
    given_up: Cell<u64>,
    /// A request has ended, one way or the other.
    ended: Notify,
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    stream: Early,
    peer: Option<SocketAddr>,
) -> io::Result<()> {
    let handshake = Builder::new()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESETS_UNSEEN)
        .max_local_error_reset_streams(Some(MAX_OWN_RESETS))
        .handshake(stream);
    let mut http = match timeout(worker.config().head_timeout, handshake).await {
        Ok(http) => http.map_err(io::Error::other)?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let shared = Rc::new(Shared {
        worker: Rc::clone(worker),
        connection: Rc::clone(connection),
        peer,
        active: Cell::new(0),
        answered: Cell::new(0),
        given_up: Cell::new(0),
        ended: Notify::new(),
    });
    let mut gone = pin!(gone(http.ping_pong()));
    let mut leaving = false;
    let mut quiet_since = Instant::now();
    loop {
        let idle_until = quiet_since + worker.config().keep_alive;
        tokio::select! {
            accepted = http.accept() => match accepted {
                Some(Ok((request, respond))) => begin(&shared, request, respond),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(()),
            },
            () = shared.ended.notified() => {
                quiet_since = Instant::now();
                if shared.given_up.get() > shared.answered.get() + MAX_RESETS {
                    tracing::debug!(?peer, "a client gives up too many requests; its connection is closed");
                    http.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            () = sleep_until(idle_until), if shared.active.get() == 0 && !leaving => {
                leaving = true;
                http.graceful_shutdown();
            }
            // No request that is on its way is lost by it.
            () = connection.left(), if !leaving => {
                leaving = true;
                http.graceful_shutdown();
            }
            () = &mut gone => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Ends when the client is not there any more.
async fn gone(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(PING_PACE).await;
        match timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn begin(shared: &Rc<Shared>, request: http2::Received, respond: SendResponse<Bytes>) {
    shared.active.set(shared.active.get() + 1);
    let shared = Rc::clone(shared);
    spawn_local(async move {
        let count = match answer(&shared, request, respond).await {
            Ok(()) => &shared.answered,
            Err(_) => &shared.given_up,
        };
        count.set(count.get() + 1);
        shared.active.set(shared.active.get() - 1);
        shared.ended.notify_one();
    });
}

/// The client has given the request up, or takes nothing of its response.
struct GivenUp;

async fn answer(
    shared: &Rc<Shared>,
    request: http2::Received,
    mut respond: SendResponse<Bytes>,
) -> Result<(), GivenUp> {
    let connection = shared.connection.of_stream();
    let _watched = shared.worker.watch(connection.clone());
    let is_head = request.method() == "HEAD";
    let (request, _unread) = match http2::into_request(request, &connection, shared.peer) {
        Ok(made) => made,
        Err(status) => {
            let response = http2::head(status, &[], None);
            return respond.send_response(response, true).map(drop).map_err(|_| GivenUp);
        }
    };
    let mut answered = pin!(service::serve_on(&shared.worker, request, Some(connection.clone())));
    let framed = poll_fn(|cx| {
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(GivenUp));
        }
        let Ok(framed) = ready!(answered.as_mut().poll(cx));
        Poll::Ready(Ok(framed))
    });
    let framed = framed.await?;
    send(&connection, framed, respond, is_head).await
}

async fn send(
    connection: &Connection,
    framed: Framed,
    mut respond: SendResponse<Bytes>,
    is_head: bool,
) -> Result<(), GivenUp> {
    let (head, body) = framed.into_parts();
    let size = body.size();
    let fields: Vec<_> = head.headers().iter().collect();
    let length = match size {
        BodySize::Sized(length) => Some(length),
        BodySize::None | BodySize::Stream => None,
    };
    let without_body = is_head || matches!(size, BodySize::None | BodySize::Sized(0));
    let response = http2::head(head.status(), &fields, length);
    let mut stream = respond.send_response(response, without_body).map_err(|_| GivenUp)?;
    let mut left = length;
    let mut body = pin!(body);
    loop {
        let next = poll_fn(|cx| {
            // Until the stream has ended, that is by the client.
            if !without_body && stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(GivenUp));
            }
            body.as_mut().poll_next(cx).map(Ok)
        });
        match next.await? {
            Some(Ok(_)) if without_body => {}
            Some(Ok(chunk)) => {
                left = left.map(|left| left.saturating_sub(chunk.len() as u64));
                write(connection, &mut stream, chunk, left == Some(0)).await?;
            }
            Some(Err(_)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => break,
        }
    }
    if !without_body && left != Some(0) {
        stream.send_data(Bytes::new(), true).map_err(|_| GivenUp)?;
    }
    Ok(())
}

/// Sends `chunk` as the client has room for it. One that makes none for too long is given up.
async fn write(
    connection: &Connection,
    stream: &mut SendStream<Bytes>,
    mut chunk: Bytes,
    is_last: bool,
) -> Result<(), GivenUp> {
    while !chunk.is_empty() {
        stream.reserve_capacity(chunk.len());
        let room = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(GivenUp));
            }
            let polled = stream.poll_capacity(cx);
            connection.note_written(polled.is_ready(), cx);
            match polled {
                Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room)),
                Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(GivenUp)),
                Poll::Pending if connection.has_timed_out() => Poll::Ready(Err(GivenUp)),
                Poll::Pending => Poll::Pending,
            }
        });
        let room = match room.await {
            Ok(room) => room,
            Err(given_up) => {
                stream.send_reset(Reason::CANCEL);
                return Err(given_up);
            }
        };
        let part = chunk.split_to(room.min(chunk.len()));
        let ends = is_last && chunk.is_empty();
        stream.send_data(part, ends).map_err(|_| GivenUp)?;
    }
    Ok(())
}
