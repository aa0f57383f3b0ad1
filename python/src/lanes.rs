//! What the I/O workers know of one server's Python lanes, and the handlers they call for them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use bimetal_runtime::lane::Runners;
use bimetal_runtime::{Answer, Handler, LaneKind, Request};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::application::Application;
use crate::asgi::handler::{answered, http_buffered};
use crate::async_lane::AsyncCall;
use crate::call::{Call, Reply};
use crate::event_loop::LoopPort;
use crate::exchanges::{Exchange, Exchanges};
use crate::params;
use crate::plan::RequestSpec;

/// The lanes of one server.
pub(crate) struct Lanes {
    pub(crate) port: Arc<LoopPort>,
    pub(crate) runners: Runners<Call>,
    pub(crate) application: Arc<Application>,
    pub(crate) exchanges: Arc<Exchanges>,
    /// Whether anybody asks which clients have a request running.
    pub(crate) track: AtomicBool,
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
    fn call(&self, request: Request) -> Answer {
        let lanes = Arc::clone(&self.lanes);
        let fits = self.fits(&request);
        let Some(values) = fits.then(|| params::read(&self.spec, &request)).flatten() else {
            lanes.application.count_rerouted();
            return Answer::Later(Box::pin(http_buffered(lanes, request)));
        };
        let head = request.to_head();
        let (respond, response) = oneshot::channel();
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let call = Call {
            route: self.route,
            values,
            reply: Reply {
                application: Arc::clone(&lanes.application),
                port: Arc::clone(&lanes.port),
                running: lanes.begin(head.peer),
                head,
                body: request.body().clone(),
                respond,
                gone,
            },
        };
        match self.lane {
            LaneKind::Async => lanes.port.post(Box::new(AsyncCall(call))),
            _ => lanes.runners.post(call),
        }
        Answer::Later(Box::pin(async move {
            let response = answered(response).await;
            guard.disarm();
            response
        }))
    }
}

impl CompiledHandler {
    /// Whether the body is one the plan can read: JSON by its type, and there where it has to be.
    fn fits(&self, request: &Request) -> bool {
        match self.spec.body {
            None => true,
            Some(required) if request.body().is_empty() => !required,
            Some(_) => request.header("content-type").is_some_and(|value| is_json(value.as_bytes())),
        }
    }
}

/// `application/json`, with parameters or without. Other JSON types are rare: FastAPI judges them.
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
