//! The compiled half of the Python package `bimetal`.
//!
//! It joins the runtime (server, router, lanes) and the plugin host to the interpreter. An I/O worker never attaches to
//! the interpreter and owns no Python object; what crosses is plain data.
//!
//! | module | its one job |
//! |---|---|
//! | [`engine`], [`settings`] | one server, as Python sees it; what is set for it |
//! | [`lanes`] | the I/O workers' end of the Python lanes |
//! | [`plan`] | compiled plans, read |
//! | [`files`] | folders whose files the server sends, read from plans |
//! | [`params`] | parameters of a request, read in Rust |
//! | [`call`] | a request on its lane: the handler called directly, or its operation started |
//! | [`route_call`], [`thread_call`] | a request as its operation sees it; functions it has called on a runner |
//! | [`sync_lane`], [`async_lane`], [`asgi`] | the three lanes |
//! | [`event_loop`], [`awaitable`], [`drive`] | the event loop: its mailbox, Rust futures it awaits, coroutines it runs |
//! | [`json`] | JSON to and from Python objects |
//! | [`application`], [`exchanges`], [`refusal`] | one server's Python objects, running requests, 503s |
//! | [`context`], [`interpreter`], [`imports`] | context variables, attachment, names from Python modules |
//! | [`caching`] | the response cache, as Python sees it |
//! | [`edge`] | the layers of the edge, as Python sees them |
//! | [`host`], [`reload`], [`log`], [`errors`] | plugin host, its new generations, log and exceptions, as Python sees them |
//! | [`shadow`] | copies of native exchanges, to be compared with a route's Python body |
//! | [`limits`], [`limit_key`], [`limit_memory`] | rate limits: as Python wants them, whom the application counts for, what workers share |
//! | [`supervisor`] | worker processes, and a worker's line to its supervisor |
//! | [`vitals`] | how a server does: what its probes say, and its figures |
//! | [`pg`] | PostgreSQL |
//! | [`sdk`] | the sources that `bimetal plugin new` copies |

mod application;
mod asgi;
mod async_lane;
mod awaitable;
mod breadcrumb;
mod caching;
mod call;
mod context;
mod cpu_time;
mod drive;
mod edge;
mod engine;
mod errands;
mod errors;
mod event_loop;
mod exchanges;
mod files;
mod host;
mod imports;
mod interpreter;
mod json;
mod lanes;
mod limit_key;
mod limit_memory;
mod limits;
mod log;
mod params;
mod pg;
mod plan;
mod refusal;
mod reload;
mod responder;
mod route_call;
mod sdk;
mod settings;
mod shadow;
mod spans;
mod supervisor;
mod sync_lane;
mod thread_call;
mod vitals;

use bimetal_runtime::edge::EXCLUDED_CONTENT_TYPES;
use bimetal_runtime::metrics::Spent;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `value` as compact JSON.
#[pyfunction]
fn dumps<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &json::dumps(value)?))
}

/// What `json.loads` gives for `data`.
#[pyfunction]
fn loads(py: Python<'_>, data: &[u8]) -> PyResult<Py<PyAny>> {
    json::loads(py, data)
}

/// For each of all routes, by what `bimetal_runtime::metrics::Spent` has, why it would gain from Rust.
#[pyfunction]
fn gains(routes: Vec<(bool, u64, f64, f64, f64)>) -> Vec<Option<String>> {
    let spent =
        |(native, requests, outside, inside, computed)| Spent { native, requests, outside, inside, computed };
    bimetal_runtime::metrics::gains(&routes.into_iter().map(spent).collect::<Vec<_>>())
}

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    // What it is now is Python's own; an application may replace it later.
    imports::JSON_LOADS.get(module.py())?;
    module.add("EXCLUDED_CONTENT_TYPES", PyTuple::new(module.py(), EXCLUDED_CONTENT_TYPES)?)?;
    module.add_class::<edge::EdgeLayer>()?;
    module.add_class::<edge::EdgeStream>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<host::Host>()?;
    module.add_class::<asgi::lifespan::Lifespan>()?;
    pg::register(module)?;
    module.add_class::<reload::Rebound>()?;
    module.add_class::<reload::Reload>()?;
    module.add_class::<route_call::RouteCall>()?;
    module.add_class::<spans::SpanQueue>()?;
    module.add_class::<supervisor::Supervisor>()?;
    module.add_class::<supervisor::WorkerLink>()?;
    module.add_function(wrap_pyfunction!(dumps, module)?)?;
    module.add_function(wrap_pyfunction!(loads, module)?)?;
    module.add_function(wrap_pyfunction!(gains, module)?)?;
    module.add_function(wrap_pyfunction!(log::set_log, module)?)?;
    module.add_function(wrap_pyfunction!(sdk::sdk_sources, module)?)?;
    module.add_function(wrap_pyfunction!(engine::build_info, module)?)
}
