//! One request and its response, counted and logged when it has ended.

use std::num::NonZeroU64;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::served::{Entry, Served};
use super::worker::Worker;
use crate::breadcrumb::Step;
use crate::edge::{AccessEntry, Edge, Passage};
use crate::http::{
    header, Body, Connection, Guard, HeaderName, HeaderValue, Request, Response, StatusCode, X_REQUEST_ID,
};
use crate::lane::LaneKind;
use crate::metrics::{Phase, Phases};
use crate::routing::Route;
use crate::spans::OpenSpan;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The table a request is routed by, held by its worker.
pub(super) type Table = Rc<Arc<Served>>;

/// The route that answers a request.
pub(super) enum Routed {
    /// A native one. It keeps its table, and through it what its handler borrows from, at the cost of a count that no other
    /// worker touches.
    Held { table: Table, index: usize },
    /// Any other, and a native one that streams. It may last as long as a WebSocket, and must not keep a table that has been
    /// replaced.
    Own(Arc<Entry>),
}

impl Routed {
    pub(super) fn listed(table: &Table, index: usize) -> Routed {
        let entry = table.entry(index);
        match entry.route().lane {
            LaneKind::Native => Routed::Held { table: Rc::clone(table), index },
            LaneKind::Sync | LaneKind::Async | LaneKind::Asgi => Routed::Own(Arc::clone(entry)),
        }
    }

    /// The fallback of a table that has one.
    pub(super) fn fallback(table: &Table) -> Routed {
        Routed::Own(Arc::clone(table.fallback_entry()))
    }

    /// The largest body, where the route has a limit of its own.
    pub(super) fn body_limit(&self) -> Option<usize> {
        self.entry().body_limit()
    }

    fn entry(&self) -> &Arc<Entry> {
        match self {
            Routed::Held { table, index } => table.entry(*index),
            Routed::Own(entry) => entry,
        }
    }
}

impl Deref for Routed {
    type Target = Route;

    fn deref(&self) -> &Route {
        self.entry().route()
    }
}

/// Lives from the request's head to the end of its response, whatever that end is.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    connection: Option<Rc<Connection>>,
    /// What it was routed to: kept until the response has been sent, because the body may be memory of the handler's.
    routed: Option<Routed>,
    /// When it began, by the worker's clock.
    began: u64,
    /// When the handler was called, where it is called here.
    called: Option<NonZeroU64>,
    /// Which of the route's series the request is counted in.
    series: u8,
    /// Whether a body had to be read before the handler was called.
    waited: bool,
    /// Whether it is counted there.
    counted: bool,
    status: Option<StatusCode>,
    /// In a box, as most requests have none.
    request_id: Option<Box<HeaderValue>>,
    log: Option<Box<AccessEntry>>,
    span: Option<Box<OpenSpan>>,
    /// The response's way out through the edge.
    passage: Option<Passage>,
}

impl Exchange {
    pub(super) fn begin(worker: &Rc<Worker>, request: &mut Request) -> Exchange {
        worker.counters().request_began();
        let connection = request.connection().cloned();
        if let Some(connection) = &connection {
            connection.begin_request(request.announced(), request.is_last());
        }
        let request_id = worker.config().request_id.then(|| Box::new(request.identify(worker.request_ids())));
        let log =
            worker.config().access_log.then(|| Box::new(AccessEntry::new(request, request_id.as_deref())));
        Exchange {
            worker: worker.clone(),
            connection,
            routed: None,
            began: worker.now(),
            called: None,
            series: 0,
            waited: false,
            counted: false,
            status: None,
            request_id,
            log,
            span: None,
            passage: None,
        }
    }

    /// The request is the stand-in for one that has not been read: nobody learns what it says.
    pub(super) fn refuse(&mut self) {
        self.log = None;
    }

    /// Lets the request in through the edge, if there is one; gives the answer when it goes no further.
    pub(super) fn enter(&mut self, edge: Option<&Arc<Edge>>, request: &Request) -> Option<Response> {
        let (passage, answer) = edge?.enter(request);
        self.passage = Some(passage);
        if answer.is_some() {
            self.record(request, LaneKind::Native);
        }
        answer
    }

    /// Has the request recorded, if requests of this lane are; `Native` for one that is answered without a lane.
    pub(super) fn record(&mut self, request: &Request, lane: LaneKind) {
        if self.worker.config().spans.as_ref().is_some_and(|recorder| recorder.wants(lane)) {
            let since = Duration::from_nanos(self.worker.now().saturating_sub(self.began));
            self.span = Some(Box::new(OpenSpan::new(request, since)));
        }
    }

    /// The body is being read first.
    pub(super) fn waits(&mut self) {
        self.waited = true;
    }

    /// The handler of this route is called from here on, for the first time until what is given is dropped.
    pub(super) fn set_route(&mut self, routed: Routed, request: &Request) -> (&Route, Option<Step>) {
        self.series = routed.entry().place(request.method());
        self.record(request, routed.lane);
        if routed.lane == LaneKind::Native {
            let called = if self.waited { self.worker.now() } else { self.began };
            self.called = NonZeroU64::new(called);
        }
        let step = self.worker.place().map(|place| place.step(routed.entry().breadcrumb()));
        (self.routed.insert(routed), step)
    }

    /// Keeps the route alone from here on: the response may last long, and a table that has been replaced must not.
    pub(super) fn let_table_go(&mut self) {
        if let Some(routed @ Routed::Held { .. }) = &self.routed {
            self.routed = Some(Routed::Own(Arc::clone(routed.entry())));
        }
    }

    /// The route whose handler answers, if it came to that.
    pub(super) fn route(&self) -> Option<&Route> {
        self.routed.as_deref()
    }

    /// The route's handler is called, until what is given is dropped.
    #[inline]
    pub(super) fn step(&self) -> Option<Step> {
        let routed = self.routed.as_ref()?;
        Some(self.worker.place()?.step(routed.entry().breadcrumb()))
    }

    /// What other threads wake the connection's task by.
    pub(super) fn gathering(&self, waker: &Waker) -> Option<Waker> {
        self.connection.as_ref().map(|connection| connection.gathering(waker))
    }

    fn end_span(&mut self) {
        let (Some(span), Some(recorder)) = (self.span.take(), &self.worker.config().spans) else { return };
        // What the whole application answers has a route that only the application knows.
        let route = self.routed.as_ref().filter(|routed| routed.lane != LaneKind::Asgi);
        let pattern = route.map(|route| route.pattern.clone());
        let took = Duration::from_nanos(self.worker.now().saturating_sub(self.began));
        span.end(recorder, pattern, self.status, took);
    }

    fn lane(&self) -> Option<LaneKind> {
        self.route().map(|route| route.lane)
    }

    /// Makes the response what is to be sent.
    pub(super) fn leave(&mut self, response: &mut Response) {
        self.status = Some(response.status);
        let ended = self.account(response);
        if let Some(passage) = self.passage.take() {
            let made = std::mem::replace(response, Response::new(StatusCode::OK));
            *response = passage.leave(made);
            // It may know better: 304 for what the client has.
            self.status = Some(response.status);
        }
        if let Some(nanos) = ended {
            self.count(nanos);
        }
        if let Some(id) = self.request_id.take() {
            // What the application says goes.
            if response.headers.iter().all(|(name, _)| *name != X_REQUEST_ID) {
                response.headers.push((X_REQUEST_ID, *id));
            }
        }
        if self.worker.pulse().leaving.get() {
            response.headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        }
    }

    /// Notes where the time has gone, and says so where that is wanted. Gives how long a whole response took.
    fn account(&mut self, response: &mut Response) -> Option<u64> {
        let routed = self.routed.as_ref()?;
        let now = self.worker.now();
        let mut phases = response.phases.take().map_or_else(Phases::default, |phases| *phases);
        if let Some(called) = self.called {
            phases.set_nanos(Phase::Handler, now.saturating_sub(called.get()));
        }
        let series = routed.entry().series(self.series);
        series.note_phases(self.worker.index(), &phases);
        let is_whole = match response.body {
            Body::Full(_) => true,
            // A session is no request: what it takes is not what its handshake took.
            Body::Stream(_) => response.status == StatusCode::SWITCHING_PROTOCOLS,
        };
        if self.worker.config().timing {
            let timing = phases.server_timing();
            if let Some(value) = timing.and_then(|text| HeaderValue::try_from(text).ok()) {
                response.headers.push((SERVER_TIMING, value));
            }
        }
        is_whole.then(|| now.saturating_sub(self.began))
    }

    /// Counts the request by its status, once.
    fn count(&mut self, nanos: u64) {
        if let (Some(routed), false) = (&self.routed, self.counted) {
            routed.entry().series(self.series).note_end(self.worker.index(), self.status, nanos);
            self.counted = true;
        }
    }

    /// Counts a request whose response was not there at once, or never.
    fn note_end(&mut self) {
        if !self.counted {
            self.count(self.worker.now().saturating_sub(self.began));
        }
    }
}

impl Guard for Exchange {
    fn connection_ends(&self) {
        if let Some(connection) = &self.connection {
            connection.close_after_response();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The log first: whoever sees that nothing is in flight any more finds every request in it.
        if let Some(log) = &self.log {
            log.write(self.status, self.lane());
        }
        self.end_span();
        self.note_end();
        self.worker.counters().request_ended(self.lane());
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
    }
}
