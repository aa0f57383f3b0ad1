//! A function that a coroutine on the event loop has called on a runner thread.

use std::sync::Arc;

use bimetal_runtime::lane::Refusal;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tokio::sync::oneshot;

use crate::awaitable::{pending, Awaitable, Outcome};
use crate::event_loop::LoopSide;
use crate::imports;
use crate::lanes::Lanes;
use crate::sync_lane::Job;

/// The function on its way to a runner, in a copy of its caller's context.
pub(crate) struct ThreadCall {
    context: Py<PyAny>,
    function: Py<PyAny>,
    arguments: Py<PyDict>,
    done: oneshot::Sender<PyResult<Py<PyAny>>>,
}

impl ThreadCall {
    /// Calls the function; on a runner.
    pub(crate) fn run(self, py: Python<'_>) {
        let positional = PyTuple::new(py, [self.function.bind(py)]);
        let result = positional.and_then(|positional| {
            let run = self.context.bind(py).getattr(intern!(py, "run"))?;
            Ok(run.call(positional, Some(self.arguments.bind(py)))?.unbind())
        });
        let _ = self.done.send(result);
    }

    /// The function will not be called.
    pub(crate) fn refuse(self, why: Refusal) {
        let why = match why {
            Refusal::Full => "too many handlers wait for a thread",
            Refusal::TooOld => "it waited too long for a thread",
            Refusal::Closed => "the server has stopped",
        };
        let _ = self.done.send(Err(PyRuntimeError::new_err(format!("a function was not called: {why}"))));
    }
}

/// Has `function(**arguments)` called on a runner; what it returns or raises is the awaitable's.
pub(crate) fn in_thread(
    py: Python<'_>,
    lanes: &Lanes,
    side: &Arc<LoopSide>,
    function: Py<PyAny>,
    arguments: Py<PyDict>,
) -> PyResult<Py<Awaitable>> {
    let context = imports::COPY_CONTEXT.get(py)?.call0()?.unbind();
    let (done, result) = oneshot::channel();
    lanes.runners.post(Job::Thread(ThreadCall { context, function, arguments, done }));
    pending(py, side, async move {
        let result = result.await;
        Box::new(move |_: Python<'_>| match result {
            Ok(result) => result,
            Err(_) => Err(PyRuntimeError::new_err("a function was not called: the server has stopped")),
        }) as Outcome
    })
}
