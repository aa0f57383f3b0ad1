//! The `async` lane: `async def` handlers, driven as tasks of the event loop.

use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::lane::Refusal;
use pyo3::prelude::*;

use crate::call::{begin, Begun, Call, Reply};
use crate::cpu_time::Meter;
use crate::drive::{drive, Ending};
use crate::event_loop::{LoopSide, LoopTask};

/// A call on its way to the event loop.
pub(crate) struct AsyncCall(pub(crate) Call);

impl LoopTask for AsyncCall {
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, taken: Instant) {
        let mut call = self.0;
        call.reply.respond.taken_by_loop(taken, side.is_eager());
        let routes = call.reply.lanes.application.routes();
        let number = call.route;
        match begin(py, &routes[number], call, Some(side)) {
            Begun::Called(coroutine, reply) => {
                let ending = Box::new(AsyncEnding { route: number, reply });
                drive(py, side, coroutine, Meter::sampled(), ending);
            }
            Begun::Operation => {}
        }
    }

    fn refuse(self: Box<Self>, why: Refusal) {
        self.0.refuse(why);
    }
}

struct AsyncEnding {
    route: usize,
    reply: Reply,
}

impl Ending for AsyncEnding {
    fn begins(&mut self, now: Instant) {
        self.reply.respond.begins(now);
    }

    fn end(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, result: PyResult<Py<PyAny>>) {
        let routes = self.reply.lanes.application.routes();
        let route = &routes[self.route];
        self.reply.result(py, route, self.route, Some(side), result.map(|result| result.into_bound(py)));
    }
}
