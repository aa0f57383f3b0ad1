//! The one HTTP service: routes each request and has it answered.

use std::future::{poll_fn, ready};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{fn_service, Service, ServiceFactory};
use std::net::SocketAddr;

use super::exchange::{Exchange, Routed};
use super::respond::{Respond, Then};
use super::worker::Worker;
use crate::http::{
    header, Body, Connection, Framing, HeaderValue, Incoming, Method, Request, Response, Socket, StatusCode,
};
use crate::lane::{BodyMode, LaneKind};
use crate::routing::{Lookup, RouteTable};

/// How long a client may go on sending what nobody reads after the response: closing at once could destroy
/// the response on its way.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The HTTP/1 protocol on the connections of `worker`.
pub(super) async fn http(
    worker: &Rc<Worker>,
) -> impl Service<(Socket, Option<SocketAddr>), Response = (), Error = DispatchError> {
    let config = worker.config();
    let (serving, expecting, pulse) = (worker.clone(), worker.clone(), worker.pulse().clone());
    let factory = HttpService::build()
        // The worker watches idle connections, without a timer for each request, and all heads, not the first one only.
        .keep_alive(if config.keep_alive.is_zero() { KeepAlive::Disabled } else { KeepAlive::Os })
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(LINGER)
        .h1_allow_half_closed(false)
        .graceful_shutdown_signal(move || {
            let pulse = pulse.clone();
            // Whoever sets the flag wakes every connection.
            poll_fn(move |_| if pulse.draining.get() { Poll::Ready(()) } else { Poll::Pending })
        })
        .on_connect_ext(|socket: &Socket, extensions| {
            extensions.insert(socket.connection().clone());
        })
        .expect(fn_service(move |request| ready(expect(&expecting, request))))
        .h1(fn_service(move |request| serve(&serving, request)));
    match factory.new_service(()).await {
        Ok(service) => service,
        // The three parts above are ready made.
        Err(()) => unreachable!("the HTTP service has nothing to initialise"),
    }
}

/// Has one request answered.
pub(super) fn serve(worker: &Rc<Worker>, inner: actix_http::Request) -> Respond {
    let connection = inner.conn_data::<Rc<Connection>>().cloned();
    serve_on(worker, inner, connection)
}

/// Has one request answered that came by `connection`, if by any.
pub(super) fn serve_on(
    worker: &Rc<Worker>,
    inner: actix_http::Request,
    connection: Option<Rc<Connection>>,
) -> Respond {
    let limit = worker.config().max_body_size;
    let refused = connection.as_ref().and_then(|connection| connection.take_refusal());
    let mut request = Request::new(inner, connection, limit);
    let framing = Framing::of(&mut request);
    let mut exchange = Exchange::begin(worker, &mut request);
    if let Some(refused) = refused {
        exchange.refuse();
        return Respond::with(refused.into(), framing, exchange, Some(request.take_incoming()));
    }
    let table = worker.table();
    let websocket = request.is_websocket();
    let answer = exchange.enter(table.edge(), &request);
    let has_body = !websocket && request.has_payload();
    let too_large = has_body && request.declared_length().is_some_and(|length| length > limit as u64);
    if too_large && (answer.is_some() || !is_limited_by_its_route(&table, &request, websocket)) {
        exchange.record(&request, LaneKind::Native);
        let refusal = answer.unwrap_or_else(|| Response::from(&Incoming::too_large(limit)));
        return Respond::with(refusal, framing, exchange, Some(request.take_incoming()));
    }
    if let Some(answer) = answer {
        return answer_without_route(answer, has_body, request, framing, exchange);
    }
    let lookup = match table.fallback() {
        Some(fallback) if websocket => Lookup::Fallback(fallback),
        _ => table.lookup(request.method(), request.path()),
    };
    let route = match lookup {
        Lookup::Route(index, params) => {
            request.set_params(params);
            Routed::listed(&table, index)
        }
        Lookup::Fallback(_) => Routed::fallback(&table),
        Lookup::MethodNotAllowed(_) | Lookup::NotFound => {
            exchange.record(&request, LaneKind::Native);
            let response = refusal(&lookup);
            return answer_without_route(response, has_body, request, framing, exchange);
        }
    };
    if !has_body {
        return Respond::handle(route, request, framing, exchange);
    }
    if let Some(limit) = route.body_limit() {
        request.set_body_limit(limit);
        if request.declared_length().is_some_and(|length| length > limit as u64) {
            exchange.record(&request, LaneKind::Native);
            let refusal = Response::from(&Incoming::too_large(limit));
            return Respond::with(refusal, framing, exchange, Some(request.take_incoming()));
        }
    }
    let then = match route.body {
        BodyMode::Stream => return Respond::handle(route, request, framing, exchange),
        BodyMode::BufferedUpTo(size) if request.declared_length().is_none_or(|length| length > size) => {
            return Respond::handle(route, request, framing, exchange)
        }
        BodyMode::Buffered | BodyMode::BufferedUpTo(_) => Then::Handle(route),
        BodyMode::Ignored => Then::HandleWithoutBody(route),
    };
    Respond::read(request, framing, exchange, then)
}

/// Whether the route that answers has a limit of its own for bodies.
#[cold]
fn is_limited_by_its_route(table: &RouteTable, request: &Request, websocket: bool) -> bool {
    if websocket && table.fallback().is_some() {
        return false;
    }
    match table.lookup(request.method(), request.path()) {
        Lookup::Route(place, _) => table.body_limit(place).is_some(),
        _ => false,
    }
}

/// Answers at once, or after the body when there is one.
fn answer_without_route(
    response: Response,
    has_body: bool,
    request: Request,
    framing: Framing,
    exchange: Exchange,
) -> Respond {
    if has_body {
        Respond::read(request, framing, exchange, Then::Answer(Box::new(response)))
    } else {
        Respond::with(response, framing, exchange, None)
    }
}

/// The answer where no route answers.
fn refusal(lookup: &Lookup<'_>) -> Response {
    let Lookup::MethodNotAllowed(allowed) = lookup else {
        return Response::detail(StatusCode::NOT_FOUND, "Not Found");
    };
    let allow = allowed.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    let response = Response::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    match HeaderValue::from_str(&allow) {
        Ok(value) => response.with_header(header::ALLOW, value),
        Err(_) => response,
    }
}

/// Decides about `Expect: 100-continue`: whether the client may send the body, or gets its refusal before it
/// does.
fn expect(
    worker: &Rc<Worker>,
    inner: actix_http::Request,
) -> Result<actix_http::Request, actix_http::Response<BoxBody>> {
    let limit = worker.config().max_body_size;
    let length =
        inner.head().headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let too_large = length.is_some_and(|length: u64| length > limit as u64);
    if length.is_none_or(|length| length == 0)
        && !inner.head().headers.contains_key(header::TRANSFER_ENCODING)
    {
        // There is no body to wait with, and a refusal in its place would leave the connection waiting for one.
        return Ok(inner);
    }
    let table = worker.table();
    if !too_large && table.edge().is_none() && table.fallback().is_some() && !table.limits_bodies() {
        return Ok(inner);
    }
    // The connection is told of a request that is refused here: its body may be read and dropped like any other.
    let connection = inner.conn_data::<Rc<Connection>>().cloned();
    let mut request = Request::new(inner, connection, limit);
    let (passage, answer) = table.edge().map(|edge| edge.enter(&request)).unzip();
    let response = match answer.flatten() {
        Some(answer) => answer,
        None => {
            let lookup = table.lookup(request.method(), request.path());
            let limit = match &lookup {
                Lookup::Route(place, _) => table.body_limit(*place).unwrap_or(limit),
                _ => limit,
            };
            match lookup {
                _ if length.is_some_and(|length| length > limit as u64) => {
                    Response::from(&Incoming::too_large(limit))
                }
                lookup @ (Lookup::MethodNotAllowed(_) | Lookup::NotFound) => refusal(&lookup),
                Lookup::Route(..) | Lookup::Fallback(_) => return Ok(request.into_inner()),
            }
        }
    };
    let mut response = match passage {
        Some(passage) => passage.leave(response),
        None => response,
    };
    Exchange::begin(worker, &mut request).leave(&mut response);
    let mut refused = actix_http::Response::new(response.status);
    for (name, value) in response.headers {
        // actix counts the body itself.
        if name != header::CONTENT_LENGTH {
            refused.headers_mut().append(name, value);
        }
    }
    let body = match response.body {
        Body::Full(bytes) if *request.method() != Method::HEAD => bytes,
        _ => Default::default(),
    };
    Err(refused.set_body(BoxBody::new(body)))
}
