//! What orchestrators and Prometheus ask a server for, as routes: `/livez`, `/readyz`, `/startupz`, `/metrics`.
//!
//! They are answered on an I/O worker and need no other thread, so that a probe says something about a process whose handlers
//! are stuck. Who knows the answers is a [`Source`]: a server of its own, or a supervisor of all of its workers.

mod dashboard;
mod figures;
mod json;
mod report;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::http::{header, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::{Answer, BodyMode, Handler, LaneKind};
use crate::routing::{Route, RouteTable};
use crate::server::{Running, Server};
use crate::{Config, Error};

pub use dashboard::Dashboard;
pub use report::{Check, Report, Stage, Thresholds};

/// Something that is known in a moment; on an I/O worker.
pub type Later<T> = Pin<Box<dyn Future<Output = T>>>;

/// Whether requests are welcome, and why, as a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether they are.
    pub ready: bool,
    /// The body of the answer.
    pub json: String,
}

/// Who knows what the probes say. None of it may wait for a handler.
pub trait Source: Send + Sync + 'static {
    /// Whether the startup has been done; from then on it has.
    fn started(&self) -> Later<bool>;
    /// Whether requests are welcome now.
    fn readiness(&self) -> Later<Readiness>;
    /// What is counted, as Prometheus reads it; none where it cannot be had in time.
    fn metrics(&self) -> Later<Option<String>>;
    /// The application's routes, as a JSON array of `{"path", "methods", "lane", "handler", "reason"}`; none where they cannot be
    /// had in time.
    fn routes(&self) -> Later<Option<String>>;
}

/// One of the probes, or the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process answers at all.
    Livez,
    /// Whether requests are welcome.
    Readyz,
    /// Whether the startup has been done.
    Startupz,
    /// What is counted.
    Metrics,
}

impl Probe {
    /// All of them.
    pub const ALL: [Probe; 4] = [Probe::Livez, Probe::Readyz, Probe::Startupz, Probe::Metrics];

    /// Where it is found.
    pub fn path(self) -> &'static str {
        match self {
            Probe::Livez => "/livez",
            Probe::Readyz => "/readyz",
            Probe::Startupz => "/startupz",
            Probe::Metrics => "/metrics",
        }
    }

    /// What answers it.
    pub fn handler(self, source: Arc<dyn Source>) -> Arc<dyn Handler> {
        Arc::new(ProbeHandler { probe: self, source })
    }

    /// Its route.
    pub fn route(self, source: Arc<dyn Source>) -> Route {
        Route {
            pattern: self.path().to_owned(),
            methods: vec![Method::GET, Method::HEAD],
            lane: LaneKind::Native,
            body: BodyMode::Ignored,
            handler: self.handler(source),
        }
    }
}

/// Serves all probes on an address of their own, with one thread that does nothing else, and there the [`Dashboard`] if that is
/// wanted. An error names the address.
pub fn serve(
    host: String,
    port: u16,
    source: &Arc<dyn Source>,
    with_dashboard: bool,
) -> Result<Running, Error> {
    let mut routes: Vec<_> = Probe::ALL.map(|probe| probe.route(Arc::clone(source))).into();
    if with_dashboard {
        routes.extend(Dashboard::ALL.map(|part| part.route(Arc::clone(source))));
    }
    let table = RouteTable::new(routes, None)?;
    Server::bind(Config { host, port, ..Config::default() })?.serve(Arc::new(table))
}

struct ProbeHandler {
    probe: Probe,
    source: Arc<dyn Source>,
}

impl Handler for ProbeHandler {
    fn call(&self, _request: Request) -> Answer {
        match self.probe {
            Probe::Livez => Answer::Now(Response::json(StatusCode::OK, "{\"status\":\"ok\"}")),
            Probe::Readyz => {
                let readiness = self.source.readiness();
                Answer::Later(Box::pin(async move {
                    let Readiness { ready, json } = readiness.await;
                    Response::json(code(ready), json)
                }))
            }
            Probe::Startupz => {
                let started = self.source.started();
                Answer::Later(Box::pin(async move {
                    let started = started.await;
                    let status = if started { "started" } else { "starting" };
                    Response::json(code(started), format!("{{\"status\":\"{status}\"}}"))
                }))
            }
            Probe::Metrics => {
                let metrics = self.source.metrics();
                Answer::Later(Box::pin(async move {
                    match metrics.await {
                        Some(text) => Response::new(StatusCode::OK)
                            .with_header(
                                header::CONTENT_TYPE,
                                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
                            )
                            .with_body(text),
                        None => Response::detail(
                            StatusCode::SERVICE_UNAVAILABLE,
                            "The supervisor does not answer, and one worker's figures would be too small",
                        ),
                    }
                }))
            }
        }
    }
}

fn code(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
