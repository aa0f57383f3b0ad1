//! From a routed request to a framed response, whenever the handler has it.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use futures_core::Stream;

use super::exchange::{Exchange, Routed};
use crate::error::panic_message;
use crate::http::{Body, Collected, Framing, Incoming, Outgoing, Request, Response, StatusCode};
use crate::lane::Answer;
use crate::routing::Route;
use crate::Error;

/// A response as the dispatcher takes it.
pub(super) type Framed = actix_http::Response<Outgoing<Exchange>>;

/// The response to one request.
pub(super) enum Respond {
    /// There already; `None` once taken.
    Ready(Option<Framed>),
    /// The handler is at work.
    Later(Later),
    /// The request body is being read.
    Reading(Box<Reading>),
}

pub(super) struct Later {
    future: Pin<Box<dyn Future<Output = Response>>>,
    framing: Framing,
    exchange: Option<Exchange>,
}

pub(super) struct Reading {
    incoming: Option<Incoming>,
    body: Collected,
    /// Present until the body is there, as what follows it is.
    request: Option<Request>,
    exchange: Option<Exchange>,
    then: Option<Then>,
    framing: Framing,
}

/// What follows when the body has been read.
pub(super) enum Then {
    /// The handler, with the body.
    Handle(Routed),
    /// The handler, without the body.
    HandleWithoutBody(Routed),
    /// This answer.
    Answer(Box<Response>),
}

impl Respond {
    /// Answers with `response`.
    pub(super) fn with(
        mut response: Response,
        framing: Framing,
        mut exchange: Exchange,
        unread: Option<Incoming>,
    ) -> Respond {
        exchange.leave(&mut response);
        Respond::Ready(Some(Outgoing::frame(response, framing, exchange, unnamed, unread)))
    }

    /// Calls the handler of `route`.
    pub(super) fn handle(
        routed: Routed,
        request: Request,
        framing: Framing,
        mut exchange: Exchange,
    ) -> Respond {
        let (route, step) = exchange.set_route(routed, &request);
        let called = catch_unwind(AssertUnwindSafe(|| route.handler.call(request)));
        drop(step);
        let response = match called {
            Ok(Answer::Now(response)) => response,
            Ok(Answer::Later(future)) => {
                return Respond::Later(Later { future, framing, exchange: Some(exchange) });
            }
            Err(panic) => answer_to_panic(route, panic_message(&*panic)),
        };
        Respond::Ready(Some(frame(response, framing, exchange)))
    }

    /// Reads the body first.
    pub(super) fn read(
        mut request: Request,
        framing: Framing,
        mut exchange: Exchange,
        then: Then,
    ) -> Respond {
        let incoming = Some(request.take_incoming());
        exchange.waits();
        Respond::Reading(Box::new(Reading {
            incoming,
            body: Collected::default(),
            request: Some(request),
            exchange: Some(exchange),
            then: Some(then),
            framing,
        }))
    }
}

fn frame(mut response: Response, framing: Framing, mut exchange: Exchange) -> Framed {
    exchange.leave(&mut response);
    let pattern = match &response.body {
        // Only a stream can fail so late that somebody has to name its route.
        Body::Stream(_) => {
            exchange.let_table_go();
            exchange.route().map(|route| Arc::from(route.pattern.as_str()))
        }
        Body::Full(_) => None,
    };
    Outgoing::frame(response, framing, exchange, || pattern.unwrap_or_else(unnamed), None)
}

/// What the log calls the route of a response that has none.
fn unnamed() -> Arc<str> {
    Arc::from("(none)")
}

fn answer_to_panic(route: &Route, panic: &str) -> Response {
    tracing::error!(route = %route.pattern, lane = route.lane.as_str(), panic, "handler panicked");
    Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").unhandled()
}

impl Later {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Framed>> {
        // Whoever answers on another thread may answer many at a time.
        let gathering = self.exchange.as_ref().and_then(|exchange| exchange.gathering(cx.waker()));
        let mut cx = Context::from_waker(gathering.as_ref().unwrap_or(cx.waker()));
        let step = self.exchange.as_ref().and_then(Exchange::step);
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(&mut cx)));
        drop(step);
        let response = match polled {
            Ok(poll) => ready!(poll),
            Err(panic) => match self.exchange.as_ref().and_then(Exchange::route) {
                Some(route) => answer_to_panic(route, panic_message(&*panic)),
                None => return Poll::Ready(None),
            },
        };
        Poll::Ready(self.exchange.take().map(|exchange| frame(response, self.framing, exchange)))
    }
}

impl Reading {
    /// Reads on; gives what stands in the way of the body, when it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        let discard = !matches!(self.then, Some(Then::Handle(_)));
        loop {
            let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
            match ready!(Pin::new(incoming).poll_next(cx)) {
                Some(Ok(_)) if discard => {}
                Some(Ok(chunk)) => self.body.push(chunk),
                Some(Err(error)) => return Poll::Ready(Some(error)),
                None => return Poll::Ready(None),
            }
        }
    }

    /// What follows. Request and exchange are taken one by one, because moving them is most of what this costs.
    fn next(&mut self, failure: Option<Error>) -> Option<Respond> {
        let then = self.then.take()?;
        let exchange = self.exchange.take()?;
        if let Some(error) = failure {
            return Some(Respond::with(Response::from(&error), self.framing, exchange, self.incoming.take()));
        }
        let route = match then {
            Then::Answer(response) => return Some(Respond::with(*response, self.framing, exchange, None)),
            Then::Handle(route) => {
                self.request.as_mut()?.set_body(std::mem::take(&mut self.body).finish());
                route
            }
            Then::HandleWithoutBody(route) => route,
        };
        Some(Respond::handle(route, self.request.take()?, self.framing, exchange))
    }
}

impl Future for Respond {
    type Output = Result<Framed, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let framed = match this {
                Respond::Ready(framed) => framed.take(),
                Respond::Later(later) => ready!(later.poll(cx)),
                Respond::Reading(reading) => {
                    let failure = ready!(reading.poll(cx));
                    match reading.next(failure) {
                        Some(Respond::Ready(framed)) => framed,
                        Some(next) => {
                            *this = next;
                            continue;
                        }
                        None => None,
                    }
                }
            };
            // Nobody polls a finished future again; if somebody did, waiting is all that is left.
            return framed.map_or(Poll::Pending, |framed| Poll::Ready(Ok(framed)));
        }
    }
}
