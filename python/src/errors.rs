//! The exceptions of the extension, and the one place that maps an error's kind to one of them.

use bimetal_host as host;
use bimetal_runtime as runtime;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::plan::Plan;

create_exception!(
    bimetal._core,
    BimetalError,
    PyException,
    "Base of every error Bimetal raises itself; its text is one line that names the fix."
);
create_exception!(bimetal._core, BindError, BimetalError, "The listening address cannot be bound.");
create_exception!(bimetal._core, RouteError, BimetalError, "A route cannot be served as written.");
create_exception!(bimetal._core, PluginError, BimetalError, "A plugin or a native handler cannot be used.");

/// The exception for an error of the runtime.
pub(crate) fn from_runtime(error: &runtime::Error) -> PyErr {
    let text = error.to_string();
    match error.kind() {
        runtime::ErrorKind::Bind => BindError::new_err(text),
        runtime::ErrorKind::Route => RouteError::new_err(text),
        _ => BimetalError::new_err(text),
    }
}

/// The exception for an error of the plugin host.
pub(crate) fn from_host(error: &host::Error) -> PyErr {
    PluginError::new_err(error.to_string())
}

/// The exception for a native handler that cannot be bound to a route.
pub(crate) fn at_route(plan: &Plan, error: &host::Error) -> PyErr {
    let methods: Vec<&str> = plan.methods.iter().map(|method| method.as_str()).collect();
    PluginError::new_err(format!("route {} {}: {error}", methods.join("|"), plan.path))
}

/// The exception object of `error`, with its traceback: before Python 3.12 the two travel apart.
pub(crate) fn exception<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyAny>> {
    let exception = error.value(py).clone().into_any();
    if let Some(traceback) = error.traceback(py) {
        exception.setattr(pyo3::intern!(py, "__traceback__"), traceback)?;
    }
    Ok(exception)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("BimetalError", py.get_type::<BimetalError>())?;
    module.add("BindError", py.get_type::<BindError>())?;
    module.add("RouteError", py.get_type::<RouteError>())?;
    module.add("PluginError", py.get_type::<PluginError>())
}
