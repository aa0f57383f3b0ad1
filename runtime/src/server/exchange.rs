//! One request and its response, counted and logged when it has ended.

use std::rc::Rc;
use std::sync::Arc;

use super::worker::Worker;
use crate::edge::{AccessEntry, Edge, Passage};
use crate::http::{Connection, Request, Response, StatusCode};
use crate::lane::LaneKind;

/// Lives from the request's head to the end of its response, whatever that end is.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    connection: Option<Rc<Connection>>,
    lane: Option<LaneKind>,
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
        Exchange { worker: worker.clone(), connection, lane: None, status: None, log, passage: None }
    }

    /// Lets the request in through the edge, if there is one; gives the answer when it goes no further.
    pub(super) fn enter(&mut self, edge: Option<&Arc<Edge>>, request: &Request) -> Option<Response> {
        let (passage, answer) = edge?.enter(request);
        self.passage = Some(passage);
        answer
    }

    pub(super) fn set_lane(&mut self, lane: LaneKind) {
        self.lane = Some(lane);
    }

    /// The response as it is to be sent.
    pub(super) fn leave(&mut self, response: Response) -> Response {
        self.status = Some(response.status);
        match self.passage.take() {
            Some(passage) => passage.leave(response),
            None => response,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The log first: whoever sees that nothing is in flight any more finds every request in it.
        if let Some(log) = &self.log {
            log.write(self.status, self.lane);
        }
        self.worker.counters().request_ended(self.lane);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
    }
}
