//! The queue of requests that the server records itself, as Python takes from it.

use std::time::{Duration, UNIX_EPOCH};

use bimetal_runtime::http::{Address, Version};
use bimetal_runtime::spans::{self, Recorder, Span, Spans};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// How long `take` waits before it lets the interpreter look at signals.
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests that have ended, for a thread that makes spans of them.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct SpanQueue {
    /// None once it is closed: servers have clones of their own.
    recorder: Mutex<Option<Recorder>>,
    spans: Mutex<Spans>,
}

#[pymethods]
impl SpanQueue {
    /// With `all_lanes` of every request, else of those that no lane of Python hears of.
    #[new]
    fn new(all_lanes: bool) -> Self {
        let (recorder, spans) = spans::queue(all_lanes);
        SpanQueue { recorder: Mutex::new(Some(recorder)), spans: Mutex::new(spans) }
    }

    /// The requests that have ended since the last call, after waiting for one; none of them after a second. None when the queue is
    /// closed, and so is every server that records into it.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        // One thread takes; the lock is held without the interpreter.
        let taken = py.detach(|| self.spans.lock().take(PATIENCE));
        taken.map(|taken| as_list(py, &taken)).transpose()
    }

    /// No further server will record into it.
    fn close(&self) {
        drop(self.recorder.lock().take());
    }
}

impl SpanQueue {
    /// For one server.
    pub(crate) fn recorder(&self) -> Option<Recorder> {
        self.recorder.lock().clone()
    }
}

fn as_list<'py>(py: Python<'py>, taken: &[Span]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, taken.iter().map(|span| as_dict(py, span)).collect::<PyResult<Vec<_>>>()?)
}

fn as_dict<'py>(py: Python<'py>, span: &Span) -> PyResult<Bound<'py, PyDict>> {
    let head = &span.head;
    let fields = head.headers.iter().map(|(name, value)| {
        (name.as_str(), value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>())
    });
    let version = match head.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    let server = head.local.as_ref().and_then(|local| match local {
        Address::Inet(address) => Some((address.ip().to_string(), address.port())),
        Address::Unix(_) => None,
    });
    let began = span.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let dict = PyDict::new(py);
    dict.set_item("method", head.method.as_str())?;
    dict.set_item("path", &head.path)?;
    dict.set_item("query", &head.query)?;
    dict.set_item("scheme", if head.secure { "https" } else { "http" })?;
    dict.set_item("version", version)?;
    dict.set_item("headers", fields.collect::<Vec<_>>())?;
    dict.set_item("server", server)?;
    dict.set_item("route", span.route.as_deref())?;
    dict.set_item("status", span.status.map(|status| status.as_u16()))?;
    dict.set_item("began", began)?;
    dict.set_item("ended", began + span.took.as_nanos())?;
    Ok(dict)
}
