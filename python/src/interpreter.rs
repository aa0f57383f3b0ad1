//! Attaching to the interpreter. The one file that does; the lints hold that.

use pyo3::prelude::*;

/// Runs `work` attached to the interpreter. For threads of ours only: never on an I/O worker.
#[expect(clippy::disallowed_methods, reason = "the one place where a thread of ours attaches")]
pub(crate) fn attach<R>(work: impl FnOnce(Python<'_>) -> R) -> R {
    Python::attach(work)
}

/// Whether threads take turns in this interpreter. Before Python 3.13 they always do.
pub(crate) fn has_gil(py: Python<'_>) -> PyResult<bool> {
    match py.import("sys")?.getattr_opt("_is_gil_enabled")? {
        Some(enabled) => enabled.call0()?.is_truthy(),
        None => Ok(true),
    }
}

/// Runs the whole life of a thread with a thread state that stays: attaching within it is then cheap. `start` comes first.
pub(crate) fn keep_thread_state(start: impl FnOnce(Python<'_>), life: impl FnOnce() + Send) {
    attach(|py| {
        start(py);
        py.detach(life);
    });
}
