//! Startup and shutdown, as ASGI has an application take part in them.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::{mpsc, watch, Mutex as AsyncMutex};

use super::message::Message;
use crate::awaitable::{nothing, pending, Awaitable, Outcome};
use crate::event_loop::LoopSide;

thread_local! {
    /// The loop of the server that is attached on this thread.
    static ATTACHED: RefCell<Weak<LoopSide>> = const { RefCell::new(Weak::new()) };
}

/// A server has been given its loop, on this thread.
pub(crate) fn attached(side: &Arc<LoopSide>) {
    ATTACHED.set(Arc::downgrade(side));
}

/// The server on this thread, if any, has ended.
pub(crate) fn detached() {
    ATTACHED.set(Weak::new());
}

/// How a phase ended.
#[derive(Clone, Debug)]
enum Phase {
    Waiting,
    Complete,
    Failed(String),
}

/// The lifespan exchange of one server.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Lifespan {
    side: Arc<LoopSide>,
    ask: mpsc::UnboundedSender<&'static str>,
    asked: Arc<AsyncMutex<mpsc::UnboundedReceiver<&'static str>>>,
    startup: watch::Sender<Phase>,
    shutdown: watch::Sender<Phase>,
    phase: Mutex<&'static str>,
}

#[pymethods]
impl Lifespan {
    #[new]
    fn new() -> PyResult<Self> {
        let side = ATTACHED.with_borrow(Weak::upgrade).ok_or_else(|| {
            PyRuntimeError::new_err("no server is attached on this thread: Engine.attach() comes first")
        })?;
        let (ask, asked) = mpsc::unbounded_channel();
        // The receiver is ours: this cannot fail.
        let _ = ask.send("lifespan.startup");
        Ok(Lifespan {
            side,
            ask,
            asked: Arc::new(AsyncMutex::new(asked)),
            startup: watch::Sender::new(Phase::Waiting),
            shutdown: watch::Sender::new(Phase::Waiting),
            phase: Mutex::new("lifespan.startup"),
        })
    }

    /// The application's `receive`.
    fn receive(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let asked = Arc::clone(&self.asked);
        pending(py, &self.side, async move {
            let kind = asked.lock().await.recv().await;
            Box::new(move |py: Python<'_>| {
                let kind = kind.ok_or_else(|| PyRuntimeError::new_err("the server has ended"))?;
                let message = PyDict::new(py);
                message.set_item(intern!(py, "type"), kind)?;
                Ok(message.into_any().unbind())
            }) as Outcome
        })
    }

    /// The application's `send`.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<Awaitable>> {
        let message = Message::new(message)?;
        let reason = || -> PyResult<String> {
            message
                .get(intern!(message.py(), "message"))?
                .map_or_else(|| Ok(String::new()), |text| text.extract())
        };
        match &*message.kind()? {
            "lifespan.startup.complete" => self.startup.send_replace(Phase::Complete),
            "lifespan.startup.failed" => self.startup.send_replace(Phase::Failed(reason()?)),
            "lifespan.shutdown.complete" => self.shutdown.send_replace(Phase::Complete),
            "lifespan.shutdown.failed" => self.shutdown.send_replace(Phase::Failed(reason()?)),
            other => {
                return Err(PyRuntimeError::new_err(format!(
                    "unexpected ASGI message '{other}' in {}",
                    self.phase.lock()
                )))
            }
        };
        nothing(py)
    }

    /// Ends with the startup: None when complete, the message when it failed.
    fn started(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.outcome(py, &self.startup)
    }

    /// Asks the application to shut down, and ends when it has.
    fn shutdown(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        *self.phase.lock() = "lifespan.shutdown";
        // The receiver is ours: this cannot fail.
        let _ = self.ask.send("lifespan.shutdown");
        self.outcome(py, &self.shutdown)
    }

    /// The application's coroutine has ended: nobody waits for a message that cannot come.
    fn finished(&self) {
        for phase in [&self.startup, &self.shutdown] {
            phase.send_if_modified(|phase| {
                let waiting = matches!(phase, Phase::Waiting);
                if waiting {
                    *phase = Phase::Complete;
                }
                waiting
            });
        }
    }
}

impl Lifespan {
    fn outcome(&self, py: Python<'_>, phase: &watch::Sender<Phase>) -> PyResult<Py<Awaitable>> {
        let mut phase = phase.subscribe();
        pending(py, &self.side, async move {
            let outcome =
                phase.wait_for(|phase| !matches!(phase, Phase::Waiting)).await.map(|phase| phase.clone());
            Box::new(move |py: Python<'_>| match outcome {
                Ok(Phase::Failed(reason)) => Ok(reason.into_pyobject(py)?.into_any().unbind()),
                _ => Ok(py.None()),
            }) as Outcome
        })
    }
}
