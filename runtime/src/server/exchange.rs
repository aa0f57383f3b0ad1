//! One request and its response, counted and logged when it has ended.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::worker::Worker;
use crate::edge::{AccessEntry, Edge, Passage};
use crate::http::{header, Connection, HeaderValue, Request, Response, StatusCode};
use crate::lane::LaneKind;
use crate::routing::Route;
use crate::RouteTable;

/// The table a request is routed by, held by its worker.
pub(super) type Table = Rc<Arc<RouteTable>>;

/// The route that answers a request.
pub(super) enum Routed {
    /// A native one. It keeps its table, and through it what its handler borrows from, at the cost of a count that no other
    /// worker touches.
    Held { table: Table, index: usize },
    /// Any other, and a native one that streams. It may last as long as a WebSocket, and must not keep a table that has been
    /// replaced.
    Own(Arc<Route>),
}

impl Routed {
    pub(super) fn listed(table: &Table, index: usize) -> Routed {
        let route = &table.routes()[index];
        match route.lane {
            LaneKind::Native => Routed::Held { table: Rc::clone(table), index },
            LaneKind::Sync | LaneKind::Async | LaneKind::Asgi => Routed::Own(Arc::clone(route)),
        }
    }
}

impl Deref for Routed {
    type Target = Route;

    fn deref(&self) -> &Route {
        match self {
            Routed::Held { table, index } => &table.routes()[*index],
            Routed::Own(route) => route,
        }
    }
}

/// Lives from the request's head to the end of its response, whatever that end is.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    connection: Option<Rc<Connection>>,
    /// What it was routed to: kept until the response has been sent, because the body may be memory of the handler's.
    routed: Option<Routed>,
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
        let log = worker.config().access_log.then(|| Box::new(AccessEntry::new(request)));
        Exchange { worker: worker.clone(), connection, routed: None, status: None, log, passage: None }
    }

    /// Lets the request in through the edge, if there is one; gives the answer when it goes no further.
    pub(super) fn enter(&mut self, edge: Option<&Arc<Edge>>, request: &Request) -> Option<Response> {
        let (passage, answer) = edge?.enter(request);
        self.passage = Some(passage);
        answer
    }

    /// The handler of this route is called from here on.
    pub(super) fn set_route(&mut self, routed: Routed) -> &Route {
        self.routed.insert(routed)
    }

    /// Keeps the route alone from here on: the response may last long, and a table that has been replaced must not.
    pub(super) fn let_table_go(&mut self) {
        if let Some(Routed::Held { table, index }) = &self.routed {
            self.routed = Some(Routed::Own(Arc::clone(&table.routes()[*index])));
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
    pub(super) fn leave(&mut self, response: Response) -> Response {
        self.status = Some(response.status);
        let mut response = match self.passage.take() {
            Some(passage) => passage.leave(response),
            None => response,
        };
        if self.worker.pulse().leaving.get() {
            response.headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        }
        response
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The log first: whoever sees that nothing is in flight any more finds every request in it.
        if let Some(log) = &self.log {
            log.write(self.status, self.lane());
        }
        self.worker.counters().request_ended(self.lane());
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
    }
}
