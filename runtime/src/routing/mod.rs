//! Which handler answers a path and method.

use std::sync::Arc;

use crate::http::Method;
use crate::lane::{BodyMode, Handler, LaneKind};
use crate::Error;

/// One entry of a [`RouteTable`].
pub struct Route {
    /// The pattern, in Starlette's syntax: `/users/{id}`, `/files/{path:path}`, `/n/{i:int}`.
    pub pattern: String,
    /// The methods it answers; empty: all of them.
    pub methods: Vec<Method>,
    /// The lane it runs on, for tables, logs and counters.
    pub lane: LaneKind,
    /// How it wants the body.
    pub body: BodyMode,
    /// The handler.
    pub handler: Arc<dyn Handler>,
}

/// All routes of a server, in order of registration: the first that matches path and method answers, as in Starlette.
pub struct RouteTable {
    _todo: (),
}

impl RouteTable {
    /// A table of `routes`. What no route answers goes to `fallback`; without one the answer is 404, or 405 with `Allow`
    /// where the path matches but not the method. WebSocket handshakes go to `fallback` always.
    pub fn new(routes: Vec<Route>, fallback: Option<Route>) -> Result<RouteTable, Error> {
        let _ = (routes, fallback);
        unreachable!()
    }
}
