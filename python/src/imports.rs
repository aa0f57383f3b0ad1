//! Every Python object the extension imports, in one place.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// A name in a Python module, looked up at its first use.
pub(crate) struct Import {
    module: &'static str,
    name: &'static str,
    cell: PyOnceLock<Py<PyAny>>,
}

impl Import {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Import { module, name, cell: PyOnceLock::new() }
    }

    /// The object.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        self.cell
            .get_or_try_init(py, || Ok(py.import(self.module)?.getattr(self.name)?.unbind()))
            .map(|object| object.bind(py))
    }
}

pub(crate) static ASYNCIO_TASK: Import = Import::new("asyncio", "Task");
pub(crate) static FORMAT_EXCEPTION: Import = Import::new("traceback", "format_exception");
pub(crate) static COPY_CONTEXT: Import = Import::new("contextvars", "copy_context");
pub(crate) static JSON_NAMES: Import = Import::new("json", "__dict__");
pub(crate) static JSON_LOADS: Import = Import::new("json", "loads");
pub(crate) static JSON_DUMPS: Import = Import::new("json", "dumps");
pub(crate) static BYTES: Import = Import::new("builtins", "bytes");
pub(crate) static INT: Import = Import::new("builtins", "int");
pub(crate) static DECIMAL: Import = Import::new("decimal", "Decimal");
pub(crate) static ENUM: Import = Import::new("enum", "Enum");
pub(crate) static UUID: Import = Import::new("uuid", "UUID");
pub(crate) static RUNNING_LOOP: Import = Import::new("asyncio", "get_running_loop");
pub(crate) static PG_ERROR: Import = Import::new("bimetal.pg", "PgError");
pub(crate) static PG_ARGUMENT_ERROR: Import = Import::new("bimetal.pg", "PgArgumentError");
pub(crate) static PG_VALUE_ERROR: Import = Import::new("bimetal.pg", "PgValueError");
pub(crate) static PG_ROWS_ERROR: Import = Import::new("bimetal.pg", "PgRowsError");
pub(crate) static PG_UNAVAILABLE: Import = Import::new("bimetal.pg", "PgUnavailable");
pub(crate) static PG_EXHAUSTED: Import = Import::new("bimetal.pg", "PgPoolExhausted");
pub(crate) static PG_JSON: Import = Import::new("bimetal.pg", "Json");
pub(crate) static PG_COPY_IN: Import = Import::new("bimetal.pg", "_copy_in");
pub(crate) static PG_READ_CHUNKS: Import = Import::new("bimetal.pg", "_read_chunks");
pub(crate) static RENDER_JSON: Import = Import::new("bimetal.compile.render", "render_json");
pub(crate) static SMALL_BODY: Import = Import::new("bimetal.compile.plan", "SMALL_BODY");
pub(crate) static STARLETTE_RESPONSE: Import = Import::new("starlette.responses", "Response");
pub(crate) static VALIDATION_ERROR: Import = Import::new("pydantic_core", "ValidationError");

/// Starlette's response classes that send a status, headers and a body, and do nothing else.
pub(crate) static PLAIN_RESPONSES: [Import; 5] = [
    Import::new("starlette.responses", "JSONResponse"),
    Import::new("starlette.responses", "Response"),
    Import::new("starlette.responses", "HTMLResponse"),
    Import::new("starlette.responses", "PlainTextResponse"),
    Import::new("starlette.responses", "RedirectResponse"),
];
