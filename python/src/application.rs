//! The Python objects of one server. Held by the lanes' own threads, never by an I/O worker.

use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::asgi::scope::LastAddress;
use crate::errors::exception;
use crate::event_loop::LoopSide;
use crate::imports;
use crate::limit_key::KeyFunctions;
use crate::plan::PyRoute;

/// The application, its compiled routes, and where its exceptions are reported.
pub(crate) struct Application {
    /// The ASGI application.
    pub(crate) asgi: Py<PyAny>,
    /// What the lifespan put into its state; each scope gets a copy.
    pub(crate) state: Mutex<Option<Py<PyDict>>>,
    /// The event loop, while the server has one.
    pub(crate) side: Mutex<Option<Arc<LoopSide>>>,
    /// Called on each runner thread as it starts.
    pub(crate) on_runner_start: Mutex<Option<Py<PyAny>>>,
    /// Routes of the `sync` and `async` lanes, by the number their handlers carry.
    pub(crate) routes: RwLock<Arc<[PyRoute]>>,
    /// Functions that say whom a request counts for, by the number the rate limits know them by.
    pub(crate) key_functions: RwLock<KeyFunctions>,
    /// Called with each exception that leaves the application.
    pub(crate) on_exception: Option<Py<PyAny>>,
    /// Requests of which something may still run in Python, whether or not they have their response.
    pub(crate) busy: AtomicUsize,
    /// The prefix under which a proxy serves the application.
    pub(crate) root_path: String,
    /// Of the clients, and of the server.
    pub(crate) last_peer: LastAddress,
    pub(crate) last_local: LastAddress,
}

impl Application {
    /// The routes as they are now.
    pub(crate) fn routes(&self) -> Arc<[PyRoute]> {
        Arc::clone(&self.routes.read())
    }

    /// The key functions as they are now.
    pub(crate) fn key_functions(&self) -> KeyFunctions {
        Arc::clone(&self.key_functions.read())
    }

    /// Gives up what requests need; requests that still run keep what they have.
    pub(crate) fn let_go(&self) {
        // Taken out first: what goes with them may run Python, and no lock is held then.
        let routes = std::mem::replace(&mut *self.routes.write(), Arc::from([]));
        let functions = std::mem::replace(&mut *self.key_functions.write(), Arc::from([]));
        let state = self.state.lock().take();
        let side = self.side.lock().take();
        let on_runner_start = self.on_runner_start.lock().take();
        drop((routes, functions, state, side, on_runner_start));
    }

    /// What a runner thread does before its first call.
    pub(crate) fn runner_starts(&self, py: Python<'_>) {
        let on_start = self.on_runner_start.lock().as_ref().map(|on_start| on_start.clone_ref(py));
        if let Some(on_start) = on_start {
            if let Err(error) = on_start.call0(py) {
                error.write_unraisable(py, Some(on_start.bind(py)));
            }
        }
    }

    /// Logs an exception that left the application, with its traceback, and reports it.
    pub(crate) fn report(&self, py: Python<'_>, error: &PyErr, method: &str, path: &str) {
        tracing::error!(target: "bimetal::application", method, path, "{}", traceback(py, error));
        if let Some(on_exception) = &self.on_exception {
            if let Err(error) =
                exception(py, error).and_then(|exception| on_exception.bind(py).call1((exception,)))
            {
                error.write_unraisable(py, Some(on_exception.bind(py)));
            }
        }
    }
}

fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = imports::FORMAT_EXCEPTION.get(py).and_then(|format| {
        format.call1((error.get_type(py), error.value(py), error.traceback(py)))?.extract::<Vec<String>>()
    });
    match lines {
        Ok(lines) => format!("exception in the application\n{}", lines.concat().trim_end()),
        Err(_) => format!("exception in the application: {error}"),
    }
}
