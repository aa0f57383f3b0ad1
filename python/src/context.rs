//! A `contextvars` context of its own for each request.

use pyo3::ffi;
use pyo3::prelude::*;

/// Runs `work` in a new, empty context, as each request of the event loop has one.
pub(crate) fn in_empty_context<'py, R>(py: Python<'py>, work: impl FnOnce(Python<'py>) -> R) -> PyResult<R> {
    // SAFETY: attached; the result is a new reference, or null with an exception set.
    let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_New())? };
    // SAFETY: attached; `context` is a context that nobody else can have entered.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(py));
    }
    let result = work(py);
    // SAFETY: attached; this thread entered `context` above, and whoever entered another one meanwhile has left it.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(py));
    }
    Ok(result)
}
