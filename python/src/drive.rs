//! Runs a coroutine of the application as a task, and takes its end without another turn of the loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::breadcrumb::Breadcrumb;
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError, PyStopIteration};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::awaitable::{step, Step};
use crate::cpu_time::Meter;
use crate::event_loop::LoopSide;

/// What happens when the coroutine has ended. Dropped unused when it never does: the loop was closed.
pub(crate) trait Ending: Send {
    /// The coroutine has its first turn, which it has waited for since its task was made.
    fn begins(&mut self, _now: Instant) {}

    fn end(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, result: PyResult<Py<PyAny>>);
}

/// Runs `awaitable` as a task of the loop; `ending` gets its result. On the loop's thread. `meter` is that of the request.
pub(crate) fn drive(
    py: Python<'_>,
    side: &Arc<LoopSide>,
    awaitable: PyResult<Bound<'_, PyAny>>,
    meter: Meter,
    ending: Box<dyn Ending>,
) {
    let coroutine = match awaitable.and_then(|awaitable| coroutine(&awaitable)) {
        Ok(coroutine) => coroutine,
        Err(error) => return ending.end(py, side, Err(error)),
    };
    let drive = Py::new(
        py,
        Drive {
            coroutine,
            ending: Mutex::new(Some(ending)),
            side: Arc::clone(side),
            number: Mutex::new(None),
            waits: AtomicBool::new(!side.is_eager()),
            breadcrumb: Breadcrumb::current(),
            meter,
        },
    );
    let started = drive.and_then(|drive| {
        side.spawn(py, |number| {
            *drive.get().number.lock() = Some(number);
            Ok(drive.clone_ref(py).into_any())
        })
        // An error of the task's own making: the coroutine has not run, and its ending has to.
        .or_else(|error| drive.get().finish(py, Err(error)))
    });
    if let Err(error) = started {
        error.print(py);
    }
}

/// The object whose `send` runs `awaitable`.
fn coroutine(awaitable: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    // SAFETY: attached, and `awaitable` is a live object.
    if unsafe { ffi::PyCoro_CheckExact(awaitable.as_ptr()) } != 0 {
        return Ok(awaitable.clone().unbind());
    }
    Ok(awaitable.call_method0("__await__")?.unbind())
}

/// The coroutine a task runs in place of the application's own.
#[pyclass(frozen, module = "bimetal._core")]
struct Drive {
    coroutine: Py<PyAny>,
    ending: Mutex<Option<Box<dyn Ending>>>,
    side: Arc<LoopSide>,
    number: Mutex<Option<usize>>,
    /// Whether it waits for its first turn.
    waits: AtomicBool,
    /// The route it runs for.
    breadcrumb: Breadcrumb,
    meter: Meter,
}

impl Drive {
    /// Hands the result over. What must end the task or the process (a cancellation, `SystemExit`) is raised on.
    fn finish(&self, py: Python<'_>, result: PyResult<Py<PyAny>>) -> PyResult<()> {
        let raise = match &result {
            Err(error) if !error.is_instance_of::<PyException>(py) => Some(error.clone_ref(py)),
            _ => None,
        };
        let ending = self.ending.lock().take();
        if let Some(ending) = ending {
            ending.end(py, &self.side, result);
        }
        let number = self.number.lock().take();
        if let Some(number) = number {
            self.side.task_ended(number);
        }
        raise.map_or(Ok(()), Err)
    }

    fn take_step(&self, py: Python<'_>, result: PyResult<Step>) -> PyResult<Option<Py<PyAny>>> {
        match result {
            Ok(Step::Yielded(value)) => Ok(Some(value)),
            Ok(Step::Returned(value)) => self.finish(py, Ok(value)).map(|()| None),
            Err(error) => self.finish(py, Err(error)).map(|()| None),
        }
    }
}

#[pymethods]
impl Drive {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.waits.load(Ordering::Relaxed) {
            self.waits.store(false, Ordering::Relaxed);
            if let Some(ending) = &mut *self.ending.lock() {
                ending.begins(Instant::now());
            }
        }
        self.side.step(py, || {
            self.meter.during(|| {
                let result = self.breadcrumb.during(|| step(self.coroutine.bind(py)));
                self.take_step(py, result)
            })
        })
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
        let coroutine = self.coroutine.bind(py);
        let stepped = self.side.step(py, || {
            let thrown = self.breadcrumb.during(|| match (value, traceback) {
                (None, None) => coroutine.call_method1("throw", (kind,)),
                _ => coroutine.call_method1("throw", (kind, value, traceback)),
            });
            let result = match thrown {
                Ok(value) => Ok(Step::Yielded(value.unbind())),
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                    Ok(Step::Returned(error.value(py).getattr("value")?.unbind()))
                }
                Err(error) => Err(error),
            };
            self.take_step(py, result)
        });
        match stepped? {
            Some(value) => Ok(value),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.coroutine.bind(py).call_method0("close")?;
        self.finish(py, Err(PyRuntimeError::new_err("the event loop was closed while the request ran")))
    }

    /// What debuggers and asyncio's debug mode ask a coroutine for.
    #[getter]
    fn cr_frame(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.coroutine.getattr(py, "cr_frame")
    }

    #[getter]
    fn cr_code(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.coroutine.getattr(py, "cr_code")
    }

    #[getter]
    fn cr_running(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.coroutine.getattr(py, "cr_running")
    }

    #[getter]
    fn cr_suspended(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.coroutine.getattr(py, "cr_suspended")
    }

    #[getter]
    fn cr_await(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.coroutine.getattr(py, "cr_await")
    }
}
