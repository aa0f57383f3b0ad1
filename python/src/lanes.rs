//! What the I/O workers know of one server's Python lanes, and the handlers they call for them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use bimetal_runtime::lane::Runners;
use bimetal_runtime::{Answer, Handler, LaneKind, Request};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::application::Application;
use crate::asgi::handler::{answered, stream_body, unless_refused, Ahead};
use crate::asgi::http::Incoming;
use crate::async_lane::AsyncCall;
use crate::call::{Call, Reply, Values};
use crate::event_loop::LoopPort;
use crate::exchanges::{Exchange, Exchanges};
use crate::params;
use crate::plan::{DirectSpec, RequestSpec};
use crate::responder::Responder;
use crate::sync_lane::Job;

/// The lanes of one server.
pub(crate) struct Lanes {
    pub(crate) port: Arc<LoopPort>,
    pub(crate) runners: Runners<Job>,
    pub(crate) application: Arc<Application>,
    pub(crate) exchanges: Arc<Exchanges>,
    /// Whether anybody asks which clients have a request running.
    pub(crate) track: AtomicBool,
    /// What of each WebSocket may wait for the application.
    pub(crate) websockets: Ahead,
}

impl Lanes {
    /// Notes that a request of `peer` begins, where somebody asks.
    pub(crate) fn begin(&self, peer: Option<SocketAddr>) -> Option<Exchange> {
        if !self.track.load(Ordering::Relaxed) {
            return None;
        }
        peer.map(|peer| self.exchanges.begin(peer.port()))
    }
}

/// Answers the requests of one compiled route.
pub(crate) struct CompiledHandler {
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) route: usize,
    pub(crate) spec: Arc<RequestSpec>,
    pub(crate) lane: LaneKind,
}

impl Handler for CompiledHandler {
    fn call(&self, mut request: Request) -> Answer {
        let lanes = Arc::clone(&self.lanes);
        let (body, refused) = if request.has_unread_body() {
            let (chunks, refused) = stream_body(request.take_body(), Bytes::new());
            (Incoming::Stream(chunks), Some(refused))
        } else {
            (Incoming::Full(request.body().clone()), None)
        };
        let values = self.read(&request);
        let head = request.to_head();
        let (respond, response) = Responder::new();
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let on_loop = match &values {
            Values::Direct(_) => self.lane == LaneKind::Async,
            Values::Steps(_) => self.spec.on_loop || refused.is_some(),
        };
        let posted = respond.posted();
        let call = Call {
            route: self.route,
            values,
            reply: Reply {
                running: lanes.begin(head.peer),
                lanes: Arc::clone(&lanes),
                head,
                body,
                respond,
                gone,
            },
        };
        if on_loop {
            lanes.port.admit(posted, Box::new(AsyncCall(call)));
        } else {
            lanes.runners.admit(posted, Job::request(Box::new(call)));
        }
        let response = async move {
            let response = answered(response).await;
            guard.disarm();
            response
        };
        match refused {
            Some(refused) => Answer::Later(Box::pin(unless_refused(refused, response))),
            None => Answer::Later(Box::pin(response)),
        }
    }
}

impl CompiledHandler {
    /// What can be read of the request's parameters without doubt.
    fn read(&self, request: &Request) -> Values {
        let read = |step: &Option<Vec<_>>| step.as_ref().and_then(|params| params::read(params, request));
        if let Some(direct) = &self.spec.direct {
            if fits(direct, request) {
                if let Some(values) = self.spec.steps.first().and_then(read) {
                    return Values::Direct(values);
                }
            }
            // The operation reads them with FastAPI's own functions.
            return Values::Steps(Vec::new());
        }
        Values::Steps(self.spec.steps.iter().map(read).collect())
    }
}

/// Whether the body is one the plan can read: JSON by its type, and there where it has to be.
fn fits(direct: &DirectSpec, request: &Request) -> bool {
    match direct.body {
        None => true,
        Some(required) if request.body().is_empty() => !required,
        Some(_) => request.header("content-type").is_some_and(|value| is_json(value.as_bytes())),
    }
}

/// `application/json`, with parameters or without. Other JSON types are rare: FastAPI judges them.
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
