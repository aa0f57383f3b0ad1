//! The HTTP server, router and lanes of Bimetal.
//!
//! This crate knows nothing of Python and nothing of plugins: it takes a [`RouteTable`] whose entries are
//! [`Handler`]s and serves it. The folders follow a request:
//!
//! | module | its one job |
//! |---|---|
//! | [`server`] | bind, accept, workers, drain |
//! | [`http`] | requests, responses, bodies, WebSockets |
//! | [`edge`] | what every request passes before it is routed |
//! | [`files`] | files of a folder as responses |
//! | [`routing`] | which handler answers a path and method |
//! | [`lane`] | where a handler runs, and the queue in front of it |
//! | [`cache`] | answers of routes that ask for it, given again without their handler |
//! | [`limit`] | how often clients are answered |
//! | [`metrics`] | counters by lane, times by route |
//! | [`probes`] | what orchestrators and Prometheus ask for |
//! | [`supervisor`] | worker processes: started, watched, replaced |
//! | [`breadcrumb`] | what a worker process was calling when a signal ended it |
//! | `tls` | certificates and keys: read, renewed when their files change |
//!
//! [`config`] holds the one configuration struct, [`error`] the one error type.

#![forbid(unsafe_code)]

pub mod breadcrumb;
pub mod cache;
pub mod config;
pub mod edge;
pub mod error;
pub mod files;
pub mod http;
pub mod lane;
pub mod limit;
pub mod metrics;
pub mod probes;
pub mod routing;
pub mod server;
pub mod spans;
pub mod supervisor;
mod tls;

pub use config::Config;
pub use error::{Error, ErrorKind};
pub use http::{Body, Errand, Head, Request, Response};
pub use lane::{Answer, BodyMode, Handler, LaneKind};
pub use routing::{Route, RouteTable};
pub use server::{Listener, Running, Server, ServerHandle};
pub use tls::{ClientCertificates, Tls};
