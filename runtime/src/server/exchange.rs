//! One request and its response, counted and logged when it has ended.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::served::{Entry, Served};
use super::worker::Worker;
use crate::edge::{AccessEntry, Edge, Passage};
use crate::http::{header, Body, Connection, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::LaneKind;
use crate::metrics::Phase;
use crate::routing::Route;

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
    /// Which of the route's series the request is counted in.
    series: usize,
    began: Instant,
    /// Whether it was not called at once: there was a body to be read.
    waited: bool,
    /// When the handler was called, where it is called here.
    called: Option<Instant>,
    /// When the response was there, where nothing of it is still to come.
    ended: Option<Instant>,
    status: Option<StatusCode>,
    log: Option<Box<AccessEntry>>,
    /// The response's way out through the edge.
    passage: Option<Passage>,
}

impl Exchange {
    pub(super) fn begin(worker: &Rc<Worker>, request: &mut Request) -> Exchange {
        worker.counters().request_began();
        let connection = request.connection().cloned();
        if let Some(connection) = &connection {
            connection.begin_request(request.announced());
        }
        let log = worker.config().access_log.then(|| {
            Box::new(AccessEntry::new(request.method().clone(), request.path().to_owned(), request.peer()))
        });
        Exchange {
            worker: worker.clone(),
            connection,
            routed: None,
            series: 0,
            began: Instant::now(),
            waited: false,
            called: None,
            ended: None,
            status: None,
            log,
            passage: None,
        }
    }

    /// Lets the request in through the edge, if there is one; gives the answer when it goes no further.
    pub(super) fn enter(&mut self, edge: Option<&Arc<Edge>>, request: &Request) -> Option<Response> {
        let (passage, answer) = edge?.enter(request);
        self.passage = Some(passage);
        answer
    }

    /// The body is being read first.
    pub(super) fn waits(&mut self) {
        self.waited = true;
    }

    /// The handler of this route is called from here on.
    pub(super) fn set_route(&mut self, routed: Routed, method: &Method) -> &Route {
        self.series = routed.entry().place(method);
        if routed.lane == LaneKind::Native {
            self.called = Some(if self.waited { Instant::now() } else { self.began });
        }
        self.routed.insert(routed)
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

    /// What other threads wake the connection's task by.
    pub(super) fn gathering(&self, waker: &Waker) -> Option<Waker> {
        self.connection.as_ref().map(|connection| connection.gathering(waker))
    }

    fn lane(&self) -> Option<LaneKind> {
        self.route().map(|route| route.lane)
    }

    /// The response as it is to be sent.
    pub(super) fn leave(&mut self, mut response: Response) -> Response {
        self.status = Some(response.status);
        self.account(&mut response);
        let mut response = match self.passage.take() {
            Some(passage) => passage.leave(response),
            None => response,
        };
        if self.worker.pulse().leaving.get() {
            response.headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        }
        response
    }

    /// Notes where the time has gone, and says so where that is wanted.
    fn account(&mut self, response: &mut Response) {
        let Some(routed) = &self.routed else { return };
        let now = Instant::now();
        if let Some(called) = self.called {
            response.phases.set(Phase::Handler, now.duration_since(called));
        }
        // A session is no request: what it takes is not what its handshake took.
        let is_whole = match response.body {
            Body::Empty | Body::Full(_) => true,
            Body::Stream(_) => response.status == StatusCode::SWITCHING_PROTOCOLS,
        };
        self.ended = is_whole.then_some(now);
        routed.entry().series(self.series).note_phases(self.worker.index(), &response.phases);
        if self.worker.config().timing {
            let timing = response.phases.server_timing();
            if let Some(value) = timing.and_then(|text| HeaderValue::try_from(text).ok()) {
                response.headers.push((SERVER_TIMING, value));
            }
        }
    }

    fn note_end(&self) {
        if let Some(routed) = &self.routed {
            let duration = self.ended.unwrap_or_else(Instant::now).duration_since(self.began);
            routed.entry().series(self.series).note_end(self.worker.index(), self.status, duration);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The log first: whoever sees that nothing is in flight any more finds every request in it.
        if let Some(log) = &self.log {
            log.write(self.status, self.lane());
        }
        self.note_end();
        self.worker.counters().request_ended(self.lane());
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
    }
}
