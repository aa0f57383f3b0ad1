//! The event loops that await statements: each has a mailbox, whichever started it, a server of ours or `asyncio.run`.

use std::future::Future;
use std::sync::Arc;

use bimetal_pg::Error;
use bimetal_runtime::lane::Limits;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;

use crate::awaitable::{pending, Awaitable, Outcome};
use crate::errors::from_pg;
use crate::event_loop::{LoopPort, LoopSide};
use crate::imports;

/// Those that have been used, and are open as far as the last look at them knew.
static LOOPS: Mutex<Vec<(Py<PyAny>, Arc<LoopSide>)>> = Mutex::new(Vec::new());

/// What the running loop waits with.
pub(crate) fn current(py: Python<'_>) -> PyResult<Arc<LoopSide>> {
    let running = imports::RUNNING_LOOP.get(py)?.call0()?;
    let known =
        LOOPS.lock().iter().find(|(event_loop, _)| event_loop.is(&running)).map(|(_, side)| Arc::clone(side));
    match known {
        Some(side) => Ok(side),
        None => make(&running),
    }
}

#[cold]
fn make(running: &Bound<'_, PyAny>) -> PyResult<Arc<LoopSide>> {
    let py = running.py();
    let side = LoopSide::new(running, LoopPort::new(Limits::default())?)?;
    side.listen(py)?;
    let others: Vec<Py<PyAny>> =
        LOOPS.lock().iter().map(|(event_loop, _)| event_loop.clone_ref(py)).collect();
    let mut closed = Vec::new();
    for event_loop in others {
        if event_loop.call_method0(py, intern!(py, "is_closed"))?.is_truthy(py)? {
            closed.push(event_loop);
        }
    }
    let mut given_up = Vec::new();
    {
        let mut loops = LOOPS.lock();
        loops.push((running.clone().unbind(), Arc::clone(&side)));
        for event_loop in &closed {
            if let Some(at) = loops.iter().position(|(known, _)| known.is(event_loop)) {
                given_up.push(loops.swap_remove(at));
            }
        }
    }
    // Their destructors may run Python: not under the lock.
    drop(given_up);
    Ok(side)
}

/// An awaitable of the running loop; `finish` makes a Python object of what `reply` ends with, on the loop's thread.
pub(crate) fn awaited<T: Send + 'static>(
    py: Python<'_>,
    reply: impl Future<Output = Result<T, Error>> + Send + 'static,
    finish: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<Awaitable>> {
    pending(py, &current(py)?, async move {
        let result = reply.await;
        Box::new(move |py: Python<'_>| match result {
            Ok(value) => finish(py, value),
            Err(error) => Err(from_pg(py, &error)),
        }) as Outcome
    })
}
