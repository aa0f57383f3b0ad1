//! A Rust future that Python awaits.

use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::event_loop::LoopSide;

/// What a future gives Python when it ends: run attached, on the loop's thread.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

type OutcomeFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// An awaitable that has its value already.
pub(crate) fn ready(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<Awaitable>> {
    Py::new(py, Awaitable { state: Mutex::new(State::Ready(value)) })
}

/// The awaitable of None: one for all, as it has nothing to keep.
pub(crate) fn nothing(py: Python<'_>) -> PyResult<Py<Awaitable>> {
    static NOTHING: PyOnceLock<Py<Awaitable>> = PyOnceLock::new();
    let made = || Py::new(py, Awaitable { state: Mutex::new(State::Nothing) });
    NOTHING.get_or_try_init(py, made).map(|nothing| nothing.clone_ref(py))
}

/// An awaitable that polls `future` on the loop's thread, whichever thread wakes it.
pub(crate) fn pending(
    py: Python<'_>,
    side: &Arc<LoopSide>,
    future: impl Future<Output = Outcome> + Send + 'static,
) -> PyResult<Py<Awaitable>> {
    let state = State::Polling(Polling { side: Arc::clone(side), future: Box::pin(future), wait: None });
    Py::new(py, Awaitable { state: Mutex::new(state) })
}

enum State {
    /// None, however often it is asked for.
    Nothing,
    Ready(Py<PyAny>),
    Polling(Polling),
    Ended,
}

struct Polling {
    side: Arc<LoopSide>,
    future: OutcomeFuture,
    /// The number of the current wait and the iterator of its asyncio future.
    wait: Option<(usize, Py<PyAny>)>,
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some((wait, _)) = self.wait.take() {
            self.side.forget(wait);
        }
    }
}

/// What `send` of an inner iterator did.
pub(crate) enum Step {
    Yielded(Py<PyAny>),
    Returned(Py<PyAny>),
}

/// `iterator.send(None)`, by the protocol of coroutines.
pub(crate) fn step(iterator: &Bound<'_, PyAny>) -> PyResult<Step> {
    let py = iterator.py();
    let mut result = ptr::null_mut();
    // SAFETY: attached; both arguments are live objects, `result` is a valid place for a new reference, which the call
    // fills unless it returns PYGEN_ERROR (then an exception is set).
    unsafe {
        match ffi::PyIter_Send(iterator.as_ptr(), ffi::Py_None(), &mut result) {
            ffi::PySendResult::PYGEN_RETURN => Ok(Step::Returned(Bound::from_owned_ptr(py, result).unbind())),
            ffi::PySendResult::PYGEN_NEXT => Ok(Step::Yielded(Bound::from_owned_ptr(py, result).unbind())),
            _ => Err(PyErr::fetch(py)),
        }
    }
}

impl Polling {
    fn step(&mut self, py: Python<'_>) -> PyResult<Step> {
        loop {
            if let Some((wait, iterator)) = &self.wait {
                match step(iterator.bind(py)) {
                    Ok(Step::Yielded(value)) => return Ok(Step::Yielded(value)),
                    Ok(Step::Returned(_)) => {
                        self.side.forget(*wait);
                        self.wait = None;
                    }
                    Err(error) => return Err(error),
                }
            }
            let (wait, waker) = self.side.wait();
            match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return outcome(py).map(Step::Returned),
                Poll::Pending => {
                    let future = self.side.future(py, wait)?;
                    self.wait = Some((wait, future.call_method0("__await__")?.unbind()));
                }
            }
        }
    }
}

/// A coroutine-like object: it can be awaited, and given to `asyncio.create_task` as well.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Awaitable {
    state: Mutex<State>,
}

impl Awaitable {
    /// The state, which has ended with that unless it never does.
    fn take(&self) -> State {
        let mut state = self.state.lock();
        match *state {
            State::Nothing => State::Nothing,
            _ => std::mem::replace(&mut *state, State::Ended),
        }
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        // The state is taken out while Python may run: no lock is held across the interpreter.
        let state = self.take();
        match state {
            State::Nothing => Ok(None),
            State::Ready(value) if value.is_none(py) => Ok(None),
            State::Ready(value) => Err(PyStopIteration::new_err((value,))),
            State::Polling(mut polling) => match polling.step(py)? {
                Step::Yielded(value) => {
                    *self.state.lock() = State::Polling(polling);
                    Ok(Some(value))
                }
                Step::Returned(value) if value.is_none(py) => Ok(None),
                Step::Returned(value) => Err(PyStopIteration::new_err((value,))),
            },
            State::Ended => {
                Err(pyo3::exceptions::PyRuntimeError::new_err("cannot reuse an awaitable that has ended"))
            }
        }
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match self.__next__(py)? {
            Some(value) => Ok(value),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let state = self.take();
        if let State::Polling(mut polling) = state {
            if let Some((_, iterator)) = polling.wait.take() {
                // The inner future turns it into whatever the awaiting code has to see.
                let thrown = match (value, traceback) {
                    (None, None) => iterator.call_method1(py, "throw", (kind,)),
                    _ => iterator.call_method1(py, "throw", (kind, value, traceback)),
                };
                return thrown;
            }
        }
        Err(PyErr::from_value(match value {
            Some(value) if !value.is_none() => value.clone(),
            _ if kind.is_instance_of::<pyo3::types::PyType>() => kind.call0()?,
            _ => kind.clone(),
        }))
    }

    fn close(&self) {
        let state = self.take();
        drop(state);
    }
}
