//! A request of a compiled route, as the Python operation that answers it sees it, and the running of operations.
//!
//! An operation is a coroutine. It starts on a runner or on the event loop. On a runner nothing may wait: a coroutine
//! that needs the loop awaits [`RouteCall::enter_loop`], and goes on there as a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::http::{header, StatusCode};
use bimetal_runtime::lane::{Burst, Refusal};
use bimetal_runtime::{Head, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::asgi::http::{Channel, HttpChannel, HttpEnding, Incoming};
use crate::asgi::message::{header_fields, to_bytes};
use crate::asgi::scope;
use crate::awaitable::{step, Step};
use crate::call::{argument, encode_value, Place, Reply};
use crate::cpu_time::Meter;
use crate::drive::drive;
use crate::event_loop::{LoopSide, LoopTask};
use crate::json;
use crate::lanes::Lanes;
use crate::params::Value;
use crate::plan::PyRoute;
use crate::thread_call::{self, Thread};

/// A request, for the operation of its route.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct RouteCall {
    lanes: Arc<Lanes>,
    route: usize,
    head: Arc<Head>,
    /// The body, where it was read before the operation started.
    body: Option<Bytes>,
    channel: Arc<Channel>,
    steps: Mutex<Vec<Option<Vec<Value>>>>,
    encoded: Mutex<Option<Bytes>>,
    made: Mutex<Option<Made>>,
    on_loop: AtomicBool,
}

/// Starts the operation of `route`: its dependencies, its handler, its response.
pub(crate) fn run(
    py: Python<'_>,
    route: &PyRoute,
    number: usize,
    steps: Vec<Option<Vec<Value>>>,
    reply: Reply,
    place: Place<'_>,
) {
    start(py, number, steps, reply, place, |call| {
        route.operation.bind(py).call_method1(intern!(py, "run"), (call,))
    });
}

/// Has the operation of `route` answer for a handler that was called already, with what it returned or raised.
pub(crate) fn settle(
    py: Python<'_>,
    route: &PyRoute,
    number: usize,
    reply: Reply,
    place: Place<'_>,
    outcome: Bound<'_, PyAny>,
) {
    start(py, number, Vec::new(), reply, place, |call| {
        route.operation.bind(py).call_method1(intern!(py, "settle"), (call, outcome))
    });
}

fn start<'py>(
    py: Python<'py>,
    route: usize,
    steps: Vec<Option<Vec<Value>>>,
    reply: Reply,
    place: Place<'_>,
    operation: impl FnOnce(Bound<'py, RouteCall>) -> PyResult<Bound<'py, PyAny>>,
) {
    let Reply { lanes, head, body, respond, gone, running } = reply;
    let whole = match &body {
        Incoming::Full(bytes) => Some(bytes.clone()),
        Incoming::Stream(_) | Incoming::Ended => None,
    };
    let channel = Channel::new(&head, body, respond, gone);
    let head = Arc::new(head);
    let ending =
        HttpEnding::new(Arc::clone(&lanes.application), Arc::clone(&channel), Arc::clone(&head), running);
    let call = RouteCall {
        lanes: Arc::clone(&lanes),
        route,
        head,
        body: whole,
        channel,
        steps: Mutex::new(steps),
        encoded: Mutex::new(None),
        made: Mutex::new(None),
        on_loop: AtomicBool::new(place.is_some()),
    };
    let call = match Bound::new(py, call) {
        Ok(call) => call,
        Err(error) => return ending.ended(py, Err(error)),
    };
    let coroutine = operation(call.clone());
    match (place, coroutine) {
        (Some(side), coroutine) => drive(py, side, coroutine, Meter::sampled(), Box::new(ending)),
        (None, Ok(coroutine)) => match step(&coroutine) {
            Ok(Step::Returned(value)) => ending.ended(py, Ok(value)),
            Err(error) => ending.ended(py, Err(error)),
            Ok(Step::Yielded(_)) => {
                call.get().on_loop.store(true, Ordering::Relaxed);
                let moved = Moved { coroutine: coroutine.unbind(), ending };
                lanes.port.post_anyway(Box::new(moved));
            }
        },
        (None, Err(error)) => ending.ended(py, Err(error)),
    }
}

/// Answers 500: the lane itself failed.
pub(crate) fn fail(py: Python<'_>, reply: Reply, error: &PyErr) {
    if error.is_instance_of::<PyException>(py) {
        reply.lanes.application.report(py, error, reply.head.method.as_str(), &reply.head.path);
    }
    let error = bimetal_runtime::Error::new(bimetal_runtime::ErrorKind::Handler, error.to_string());
    reply.respond.send(Response::from(&error));
}

/// An operation that goes on on the event loop.
struct Moved {
    coroutine: Py<PyAny>,
    ending: HttpEnding,
}

impl LoopTask for Moved {
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, _taken: Instant) {
        // What it has computed on its runner is not known here.
        drive(py, side, Ok(self.coroutine.into_bound(py)), Meter::off(), Box::new(self.ending));
    }

    fn refuse(self: Box<Self>, _why: Refusal) {
        // Posted whatever waits, so the loop has ended: the dropped sender answers.
    }
}

#[pymethods]
impl RouteCall {
    /// Whether the operation runs on the event loop.
    #[getter]
    fn on_loop(&self) -> bool {
        self.on_loop.load(Ordering::Relaxed)
    }

    /// The request's method.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.head.method.as_str())
    }

    /// Whether the body was read before the operation started.
    #[getter]
    fn is_buffered(&self) -> bool {
        self.body.is_some()
    }

    /// The body that was read before the operation started.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.bytes())
    }

    /// How many bytes it has.
    #[getter]
    fn body_size(&self) -> usize {
        self.bytes().len()
    }

    /// Whether a response has been begun.
    #[getter]
    fn started(&self) -> bool {
        self.channel.is_started()
    }

    /// The first value of a header field, decoded as Latin-1.
    fn header<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyString>> {
        let value = self.head.header(name)?;
        let text: String = value.as_bytes().iter().map(|&byte| char::from(byte)).collect();
        Some(PyString::new(py, &text))
    }

    /// What `json.loads` gives for the body.
    fn json(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        json::loads(py, self.bytes())
    }

    /// The arguments of a step by keyword, where the request's parameters could be read without doubt.
    fn values<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Option<Bound<'py, PyDict>>> {
        let values = self.steps.lock().get_mut(number).and_then(Option::take);
        let routes = self.lanes.application.routes();
        let params =
            routes.get(self.route).and_then(|route| route.steps.get(number)).and_then(Option::as_ref);
        let (Some(values), Some(params)) = (values, params) else { return Ok(None) };
        let arguments = PyDict::new(py);
        for (value, param) in values.into_iter().zip(params) {
            match argument(py, param, value)? {
                Some(value) => arguments.set_item(&param.keyword, value)?,
                None => return Ok(None),
            }
        }
        Ok(Some(arguments))
    }

    /// A new ASGI scope of the request.
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let scope = scope::http(py, &self.head, &self.lanes.application)?;
        let made = Made::of(&scope)?;
        let before = self.made.lock().replace(made);
        drop(before);
        Ok(scope)
    }

    /// Whether a scope still leads to this route: nobody has changed path or method of the one made here.
    fn is_routed_here(&self, scope: &Bound<'_, PyDict>) -> PyResult<bool> {
        self.compare(scope, Made::is_routed_here)
    }

    /// Whether a scope is as the one made here, in all that parameters are read from.
    fn is_untouched(&self, scope: &Bound<'_, PyDict>) -> PyResult<bool> {
        self.compare(scope, Made::is_untouched)
    }

    /// The request's ASGI channel: an object with `receive` and `send`.
    fn channel(&self) -> PyResult<HttpChannel> {
        Ok(HttpChannel { channel: Arc::clone(&self.channel), side: self.side()? })
    }

    /// Turns a handler's result into the bytes of the route's answer, and keeps them.
    fn encode(&self, py: Python<'_>, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let routes = self.lanes.application.routes();
        let model = routes.get(self.route).and_then(|route| route.model.as_ref());
        let began = Instant::now();
        let bytes = encode_value(py, model, result)?;
        self.channel.serialised(began.elapsed());
        *self.encoded.lock() = Some(bytes);
        Ok(())
    }

    /// What `encode` has kept.
    fn encoded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let encoded = self.encoded.lock().clone();
        match encoded {
            Some(bytes) => Ok(PyBytes::new(py, &bytes)),
            None => Err(PyRuntimeError::new_err("nothing has been encoded")),
        }
    }

    /// Sends what `encode` has kept, as JSON.
    fn respond_encoded(&self, status: u16) -> PyResult<()> {
        let body = self.encoded.lock().take();
        let body = body.ok_or_else(|| PyRuntimeError::new_err("nothing has been encoded"))?;
        self.answer(Response::json(status_code(status)?, body))
    }

    /// Sends a whole response. False, and nothing is sent, where the body is not as long as its headers say: then its
    /// parts have to be sent for as long as they fit.
    fn respond(&self, status: u16, headers: &Bound<'_, PyAny>, body: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (status, headers, body) = (status_code(status)?, header_fields(headers)?, to_bytes(body)?);
        let announced = headers.iter().find(|(name, _)| name == header::CONTENT_LENGTH);
        if let Some(announced) = announced.and_then(|(_, value)| value.to_str().ok()?.parse::<usize>().ok()) {
            let bodiless = self.head.method == bimetal_runtime::http::Method::HEAD
                || status == StatusCode::NO_CONTENT
                || status == StatusCode::NOT_MODIFIED;
            if !bodiless && announced != body.len() {
                return Ok(false);
            }
        }
        self.answer(Response::new(status).with_headers(headers).with_body(body)).map(|()| true)
    }

    /// Sends at once what has been answered: something else of the request runs now.
    fn flush(&self) {
        Burst::flush();
    }

    /// Has `function(**arguments)` called on a runner thread. On the loop only.
    fn in_thread(&self, py: Python<'_>, function: Py<PyAny>, arguments: Py<PyDict>) -> PyResult<Thread> {
        let side = self.side()?;
        thread_call::in_thread(py, &self.lanes, &side, function, arguments)
    }
}

/// What a scope had when it was made. The objects are immutable but for the list of headers, whose items are kept.
struct Made {
    path: Py<PyAny>,
    method: Py<PyAny>,
    query: Py<PyAny>,
    headers: Py<PyList>,
    fields: Py<PyTuple>,
}

impl Made {
    fn of(scope: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = scope.py();
        let item = |name| {
            scope.get_item(name)?.ok_or_else(|| PyRuntimeError::new_err("the scope was made without a key"))
        };
        let headers = item(intern!(py, "headers"))?.cast_into::<PyList>()?;
        Ok(Made {
            path: item(intern!(py, "path"))?.unbind(),
            method: item(intern!(py, "method"))?.unbind(),
            query: item(intern!(py, "query_string"))?.unbind(),
            fields: headers.to_tuple().unbind(),
            headers: headers.unbind(),
        })
    }

    fn is_routed_here(&self, scope: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = scope.py();
        Ok(same(scope, intern!(py, "path"), &self.path)? && same(scope, intern!(py, "method"), &self.method)?)
    }

    fn is_untouched(&self, scope: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = scope.py();
        if !self.is_routed_here(scope)?
            || !same(scope, intern!(py, "query_string"), &self.query)?
            || !same(scope, intern!(py, "headers"), self.headers.as_any())?
        {
            return Ok(false);
        }
        let (headers, fields) = (self.headers.bind(py), self.fields.bind(py));
        Ok(headers.len() == fields.len()
            && headers.iter().zip(fields.iter()).all(|(now, then)| now.is(&then)))
    }
}

fn same(scope: &Bound<'_, PyDict>, key: &Bound<'_, PyString>, value: &Py<PyAny>) -> PyResult<bool> {
    Ok(scope.get_item(key)?.is_some_and(|found| found.is(value)))
}

impl RouteCall {
    fn compare(
        &self,
        scope: &Bound<'_, PyDict>,
        how: fn(&Made, &Bound<'_, PyDict>) -> PyResult<bool>,
    ) -> PyResult<bool> {
        let made = self.made.lock().take();
        let Some(made) = made else { return Ok(false) };
        let result = how(&made, scope);
        *self.made.lock() = Some(made);
        result
    }

    fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    fn side(&self) -> PyResult<Arc<LoopSide>> {
        self.lanes
            .application
            .side
            .lock()
            .clone()
            .ok_or_else(|| PyRuntimeError::new_err("the server has stopped"))
    }

    fn answer(&self, response: Response) -> PyResult<()> {
        if self.channel.respond(response) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err("a response has been sent already"))
    }
}

fn status_code(status: u16) -> PyResult<StatusCode> {
    match StatusCode::from_u16(status) {
        Ok(code) if status >= 200 => Ok(code),
        _ => Err(pyo3::exceptions::PyValueError::new_err(format!(
            "{status} is not the status of a final response"
        ))),
    }
}
