//! The `async` lane: `async def` handlers, driven as tasks of the event loop.

use std::sync::Arc;

use bimetal_runtime::lane::Refusal;
use pyo3::prelude::*;

use crate::call::{arguments, call_handler, Call, Reply};
use crate::drive::{drive, Ending};
use crate::event_loop::{LoopSide, LoopTask};
use crate::refusal;

/// A call on its way to the event loop.
pub(crate) struct AsyncCall(pub(crate) Call);

impl LoopTask for AsyncCall {
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>) {
        let mut call = self.0;
        let routes = call.reply.application.routes();
        let route = &routes[call.route];
        match arguments(py, route, &mut call) {
            Ok(Some(arguments)) => {
                let coroutine = call_handler(py, route, &arguments);
                drive(py, side, coroutine, Box::new(AsyncEnding { route: call.route, reply: call.reply }));
            }
            Ok(None) => call.reply.reroute(),
            Err(error) => call.reply.fail(py, &error),
        }
    }

    fn refuse(self: Box<Self>, why: Refusal) {
        let _ = self.0.reply.respond.send(refusal::response(why));
    }
}

struct AsyncEnding {
    route: usize,
    reply: Reply,
}

impl Ending for AsyncEnding {
    fn end(self: Box<Self>, py: Python<'_>, _side: &Arc<LoopSide>, result: PyResult<Py<PyAny>>) {
        let routes = self.reply.application.routes();
        let route = &routes[self.route];
        self.reply.result(py, route, result.map(|result| result.into_bound(py)));
    }
}
