//! The exceptions of the extension, and the one place that maps an error's kind to one of them.

use bimetal_host as host;
use bimetal_pg as pg;
use bimetal_runtime as runtime;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::imports::{self, Import};
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

/// The exception for an error of PostgreSQL, or of its pool.
pub(crate) fn from_pg(py: Python<'_>, error: &pg::Error) -> PyErr {
    let text = error.to_string();
    let class = match error.kind() {
        pg::ErrorKind::Argument => &imports::PG_ARGUMENT_ERROR,
        pg::ErrorKind::Unavailable => &imports::PG_UNAVAILABLE,
        pg::ErrorKind::Exhausted => &imports::PG_EXHAUSTED,
        pg::ErrorKind::Value => &imports::PG_VALUE_ERROR,
        pg::ErrorKind::Config => return PyValueError::new_err(text),
        _ => &imports::PG_ERROR,
    };
    pg_exception(py, class, &text, error.database()).unwrap_or_else(|error| error)
}

/// The exception for an argument that has no type of PostgreSQL.
pub(crate) fn pg_argument(py: Python<'_>, text: &str) -> PyErr {
    pg_exception(py, &imports::PG_ARGUMENT_ERROR, text, None).unwrap_or_else(|error| error)
}

/// The exception for a value that Python has no object for.
pub(crate) fn pg_value(py: Python<'_>, text: &str) -> PyErr {
    pg_exception(py, &imports::PG_VALUE_ERROR, text, None).unwrap_or_else(|error| error)
}

/// The exception for another number of rows than was asked for.
pub(crate) fn pg_rows(py: Python<'_>, text: &str) -> PyErr {
    pg_exception(py, &imports::PG_ROWS_ERROR, text, None).unwrap_or_else(|error| error)
}

/// The exception for a pool or a transaction that is used in another way than it can be.
pub(crate) fn pg_usage(py: Python<'_>, text: &str) -> PyErr {
    pg_exception(py, &imports::PG_ERROR, text, None).unwrap_or_else(|error| error)
}

fn pg_exception(
    py: Python<'_>,
    class: &Import,
    text: &str,
    database: Option<&pg::DatabaseError>,
) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    if let Some(database) = database {
        fields.set_item("sqlstate", &database.sqlstate)?;
        fields.set_item("severity", &database.severity)?;
        fields.set_item("detail", &database.detail)?;
        fields.set_item("hint", &database.hint)?;
        fields.set_item("constraint", &database.constraint)?;
        fields.set_item("schema", &database.schema)?;
        fields.set_item("table", &database.table)?;
        fields.set_item("column", &database.column)?;
        fields.set_item("datatype", &database.datatype)?;
        fields.set_item("position", database.position)?;
    }
    Ok(PyErr::from_value(class.get(py)?.call((text,), Some(&fields))?))
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
