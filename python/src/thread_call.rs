//! A function that a coroutine on the event loop has called on a runner thread.

use std::sync::Arc;

use bimetal_runtime::lane::Refusal;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tokio::sync::watch;

use crate::awaitable::{pending, ready, Awaitable, Outcome};
use crate::event_loop::LoopSide;
use crate::imports;
use crate::lanes::Lanes;
use crate::sync_lane::Job;

/// The function on its way to a runner, in a copy of its caller's context.
pub(crate) struct ThreadCall {
    context: Py<PyAny>,
    function: Py<PyAny>,
    arguments: Py<PyDict>,
    result: Arc<Mutex<Option<PyResult<Py<PyAny>>>>>,
    done: watch::Sender<bool>,
}

impl ThreadCall {
    /// Calls the function; on a runner.
    pub(crate) fn run(self, py: Python<'_>) {
        let positional = PyTuple::new(py, [self.function.bind(py)]);
        let result = positional.and_then(|positional| {
            let run = self.context.bind(py).getattr(intern!(py, "run"))?;
            Ok(run.call(positional, Some(self.arguments.bind(py)))?.unbind())
        });
        self.end(result);
    }

    /// The function will not be called.
    pub(crate) fn refuse(self, why: Refusal) {
        let why = match why {
            Refusal::Full => "too many handlers wait for a thread",
            Refusal::TooOld => "it waited too long for a thread",
            Refusal::Closed => "the server has stopped",
        };
        self.end(Err(PyRuntimeError::new_err(format!("a function was not called: {why}"))));
    }

    fn end(self, result: PyResult<Py<PyAny>>) {
        *self.result.lock() = Some(result);
        self.done.send_replace(true);
    }
}

/// A function on a runner, for the coroutine that waits for it.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Thread {
    result: Arc<Mutex<Option<PyResult<Py<PyAny>>>>>,
    done: watch::Receiver<bool>,
    side: Arc<LoopSide>,
}

#[pymethods]
impl Thread {
    /// Ends with what the function returns or raises. Can be awaited again by whoever was interrupted.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        if *self.done.borrow() {
            return ready(py, self.take()?);
        }
        let (mut done, result) = (self.done.clone(), Arc::clone(&self.result));
        pending(py, &self.side, async move {
            let _ = done.wait_for(|done| *done).await;
            Box::new(move |_: Python<'_>| taken(&result)) as Outcome
        })
    }
}

impl Thread {
    fn take(&self) -> PyResult<Py<PyAny>> {
        taken(&self.result)
    }
}

fn taken(result: &Mutex<Option<PyResult<Py<PyAny>>>>) -> PyResult<Py<PyAny>> {
    let result = result.lock().take();
    result
        .unwrap_or_else(|| Err(PyRuntimeError::new_err("a function was not called: the server has stopped")))
}

/// Has `function(**arguments)` called on a runner.
pub(crate) fn in_thread(
    py: Python<'_>,
    lanes: &Lanes,
    side: &Arc<LoopSide>,
    function: Py<PyAny>,
    arguments: Py<PyDict>,
) -> PyResult<Thread> {
    let context = imports::COPY_CONTEXT.get(py)?.call0()?.unbind();
    let result = Arc::new(Mutex::new(None));
    let (sender, done) = watch::channel(false);
    let call = ThreadCall { context, function, arguments, result: Arc::clone(&result), done: sender };
    lanes.runners.post(Job::thread(call));
    Ok(Thread { result, done, side: Arc::clone(side) })
}
