//! Where a handler runs.
//!
//! A route's [`Handler`] is called on the I/O worker. A native handler answers there; the Python lanes hand the
//! work to a thread of theirs and answer later. The I/O worker never waits for either.

mod baton;
mod mailbox;
mod pool;
#[cfg(not(bimetal_loom))]
mod runners;
mod sync;
mod wakes;

pub use mailbox::Mailbox;
pub use pool::{Full, Job, Pool, PoolConfig, PoolDemand};
#[cfg(not(bimetal_loom))]
pub use runners::{Batch, Demand, Limits, Refusal, Runners, Work};
pub use wakes::Burst;
pub(crate) use wakes::Wakes;

use std::future::Future;
use std::pin::Pin;

use crate::http::{Request, Response};

/// The lane a route runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// Rust, on the I/O worker.
    Native,
    /// Python `def`, on a runner thread.
    Sync,
    /// Python `async def`, on the event loop's thread.
    Async,
    /// The whole application through ASGI.
    Asgi,
}

impl LaneKind {
    /// Every lane, in the order in which tables list them.
    pub const ALL: [LaneKind; 4] = [LaneKind::Native, LaneKind::Sync, LaneKind::Async, LaneKind::Asgi];

    /// The lane's name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            LaneKind::Native => "native",
            LaneKind::Sync => "sync",
            LaneKind::Async => "async",
            LaneKind::Asgi => "asgi",
        }
    }
}

/// How a route wants the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Read whole before the handler is called: [`Request::body`].
    Buffered,
    /// The same up to this many bytes by the length the client declares; any other is left to the handler.
    BufferedUpTo(u64),
    /// Left to the handler: [`Request::take_body`].
    Stream,
    /// Not wanted: drained and dropped.
    Ignored,
}

/// An answer that is there, or will be.
pub enum Answer {
    /// Answered on the spot.
    Now(Response),
    /// To be awaited on the I/O worker. Dropped when the client goes away.
    Later(Pin<Box<dyn Future<Output = Response>>>),
}

impl Answer {
    /// The response, once it is there.
    pub(crate) async fn settled(self) -> Response {
        match self {
            Answer::Now(response) => response,
            Answer::Later(future) => future.await,
        }
    }
}

/// Answers the requests of one route.
pub trait Handler: Send + Sync + 'static {
    /// Called on the I/O worker: must not block. A panic is caught, logged and answered with 500.
    fn call(&self, request: Request) -> Answer;

    /// What it is, where the route's path and lane do not say it all: for the log.
    fn describe(&self) -> Option<String> {
        None
    }
}
