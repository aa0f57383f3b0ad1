//! A new generation of native handlers on its way into the servers, as Python sees it.

use std::sync::Arc;

use bimetal_host::Reload as NativeReload;
use bimetal_runtime::RouteTable;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::host::list;

/// Libraries that have changed: loaded, checked and initialised, and used by nobody yet.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Reload {
    reload: Mutex<Option<NativeReload>>,
}

impl Reload {
    pub(crate) fn new(reload: NativeReload) -> Self {
        Reload { reload: Mutex::new(Some(reload)) }
    }

    pub(crate) fn get(&self) -> PyResult<MappedMutexGuard<'_, NativeReload>> {
        MutexGuard::try_map(self.reload.lock(), Option::as_mut).map_err(|_| ended())
    }
}

#[pymethods]
impl Reload {
    /// The libraries that have changed.
    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let changes = self.get()?.changes().to_vec();
        for change in changes {
            let found = PyDict::new(py);
            found.set_item("path", &change.source)?;
            found.set_item("plugin", &change.plugin)?;
            found.set_item("old_version", &change.from.0)?;
            found.set_item("new_version", &change.to.0)?;
            found.set_item("old_sha256", &change.from.1)?;
            found.set_item("new_sha256", &change.to.1)?;
            list.append(found)?;
        }
        Ok(list)
    }

    /// Every handler of the new generation, sorted by name.
    fn handlers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let handlers = self.get()?.handlers();
        list(py, handlers)
    }

    /// Makes it the host's, after it has been published.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let reload = self.reload.lock().take().ok_or_else(ended)?;
        // Another thread may hold the process's list of plugins while it loads one.
        py.detach(|| reload.commit());
        Ok(())
    }

    /// Gives it up: what was initialised is retired.
    fn discard(&self) {
        drop(self.reload.lock().take());
    }
}

/// The routes of one server with the handlers of a new generation, for `Engine.publish`.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Rebound {
    pub(crate) table: Mutex<Option<Arc<RouteTable>>>,
    /// The numbers of the handlers that are cached.
    pub(crate) cached: Mutex<Vec<u64>>,
}

#[pymethods]
impl Rebound {
    /// Gives it up.
    fn discard(&self) {
        drop(self.table.lock().take());
    }
}

fn ended() -> PyErr {
    PyRuntimeError::new_err("the reload has been committed or discarded already")
}
