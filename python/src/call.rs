//! From a compiled route's request to a call of its handler, and from the result to a response: both Python lanes.

use std::sync::Arc;

use bimetal_runtime::http::StatusCode;
use bimetal_runtime::{Body, Head, Response};
use bytes::Bytes;
use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::application::Application;
use crate::asgi::http::{HttpExchange, Incoming, Target};
use crate::asgi::message::{header_fields, to_bytes};
use crate::errors::exception;
use crate::event_loop::LoopPort;
use crate::exchanges::Exchange;
use crate::imports;
use crate::json;
use crate::params::Value;
use crate::plan::{DefaultValue, PyRoute};

/// A request of a compiled route, read and on its way to its lane's thread.
pub(crate) struct Call {
    pub(crate) route: usize,
    pub(crate) values: Vec<Value>,
    pub(crate) reply: Reply,
}

/// What is needed to answer, whichever way it goes.
pub(crate) struct Reply {
    pub(crate) application: Arc<Application>,
    pub(crate) port: Arc<LoopPort>,
    pub(crate) head: Head,
    /// The request's body: whoever answers in the handler's place may read it.
    pub(crate) body: Bytes,
    pub(crate) respond: oneshot::Sender<Response>,
    pub(crate) gone: CancellationToken,
    pub(crate) running: Option<Exchange>,
}

impl Reply {
    /// Has an ASGI application answer, on the event loop.
    fn through(self, target: Target) {
        let exchange = HttpExchange {
            application: self.application,
            target,
            head: self.head,
            incoming: Incoming::Full(self.body),
            respond: self.respond,
            gone: self.gone,
            running: self.running,
        };
        self.port.post_anyway(Box::new(exchange));
    }

    /// Has FastAPI itself answer: the request did not fit the plan, and nothing of it has run.
    pub(crate) fn reroute(self) {
        self.application.count_rerouted();
        self.through(Target::Application);
    }

    /// Answers with what FastAPI makes of an exception, or of a response object.
    fn replay(self, py: Python<'_>, route: &PyRoute, outcome: PyResult<Bound<'_, PyAny>>) {
        let outcome = match outcome {
            Ok(response) => Ok(response),
            Err(error) => exception(py, &error),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return self.fail(py, &error),
        };
        match route.replay.bind(py).call1((outcome,)) {
            Ok(replay) => self.through(Target::Replay(replay.unbind())),
            Err(error) => self.fail(py, &error),
        }
    }

    /// Answers 500: the lane itself failed.
    pub(crate) fn fail(self, py: Python<'_>, error: &PyErr) {
        if error.is_instance_of::<PyException>(py) {
            self.application.report(py, error, self.head.method.as_str(), &self.head.path);
        }
        let error = bimetal_runtime::Error::new(bimetal_runtime::ErrorKind::Handler, error.to_string());
        let _ = self.respond.send(Response::from(&error));
    }

    /// Answers with the handler's result.
    pub(crate) fn result(self, py: Python<'_>, route: &PyRoute, result: PyResult<Bound<'_, PyAny>>) {
        let result = match result {
            Ok(result) => result,
            Err(error) => return self.replay(py, route, Err(error)),
        };
        match encode(py, route, &result) {
            Ok(Encoded::Json(body)) => {
                let _ = self.respond.send(Response::json(route.status, body));
                self.gone.cancel();
            }
            Ok(Encoded::Response(response)) => {
                let _ = self.respond.send(response);
                self.gone.cancel();
            }
            Ok(Encoded::ResponseObject) => self.replay(py, route, Ok(result)),
            Err(error) => self.replay(py, route, Err(error)),
        }
    }
}

enum Encoded {
    Json(Bytes),
    /// A response object of which all is known.
    Response(Response),
    /// Any other: it sends itself.
    ResponseObject,
}

fn encode(py: Python<'_>, route: &PyRoute, result: &Bound<'_, PyAny>) -> PyResult<Encoded> {
    if route.model.is_none() {
        if let Some(bytes) = json::dumps_plain(result) {
            return Ok(Encoded::Json(bytes));
        }
    }
    if result.is_instance(imports::STARLETTE_RESPONSE.get(py)?)? {
        return Ok(response_object(py, result)?.map_or(Encoded::ResponseObject, Encoded::Response));
    }
    let Some(model) = &route.model else {
        return json::dumps(result).map(Encoded::Json);
    };
    let value = match model.validate.bind(py).call1((result,)) {
        Ok(value) => value,
        // A validator of the application's own may raise anything else: that is passed on as it is.
        Err(error) if !error.is_instance(py, imports::VALIDATION_ERROR.get(py)?) => return Err(error),
        Err(error) => {
            let invalid = model.invalid.bind(py).call1((error.value(py), result))?;
            return Err(PyErr::from_value(invalid));
        }
    };
    let bytes = model.to_json.bind(py).call1((value,))?;
    Ok(Encoded::Json(Bytes::copy_from_slice(bytes.cast::<PyBytes>()?.as_bytes())))
}

/// What a response object of Starlette's plain classes would send, unless something is to run after it.
fn response_object(py: Python<'_>, response: &Bound<'_, PyAny>) -> PyResult<Option<Response>> {
    let class = response.get_type();
    for plain in &imports::PLAIN_RESPONSES {
        if class.is(plain.get(py)?) {
            if !response.getattr(intern!(py, "background"))?.is_none() {
                return Ok(None);
            }
            // What does not convert raises when the object sends itself.
            let Ok(status) = response.getattr(intern!(py, "status_code"))?.extract::<u16>() else {
                return Ok(None);
            };
            let Ok(status) = StatusCode::from_u16(status) else { return Ok(None) };
            let raw = response.getattr(intern!(py, "raw_headers"))?;
            let Ok(headers) = header_fields(&raw) else { return Ok(None) };
            let Ok(body) = to_bytes(&response.getattr(intern!(py, "body"))?) else { return Ok(None) };
            let body = if body.is_empty() { Body::Empty } else { Body::Full(body) };
            return Ok((status.as_u16() >= 200)
                .then_some(Response::new(status).with_headers(headers).with_body(body)));
        }
    }
    Ok(None)
}

/// The arguments of the handler, in the order of its keywords; `None` when the request does not fit the plan after all.
pub(crate) fn arguments(
    py: Python<'_>,
    route: &PyRoute,
    call: &mut Call,
) -> PyResult<Option<Vec<Py<PyAny>>>> {
    let mut arguments = Vec::with_capacity(route.params.len() + usize::from(route.body.is_some()));
    for (value, param) in call.values.drain(..).zip(&route.params) {
        let argument = match value {
            Value::Str(text) => text.into_pyobject(py)?.into_any().unbind(),
            Value::Int(number) => number.into_pyobject(py)?.into_any().unbind(),
            Value::Float(number) => number.into_pyobject(py)?.into_any().unbind(),
            Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any().unbind(),
            Value::Missing => param.default.get(py)?,
            Value::Text(text) => match &param.validate {
                Some(validate) => match validate.call1(py, (text,)) {
                    Ok(value) => value,
                    Err(_) => return Ok(None),
                },
                None => text.into_pyobject(py)?.into_any().unbind(),
            },
        };
        arguments.push(argument);
    }
    if let Some(body) = &route.body {
        match read_body(py, &call.reply.body, &body.validate, &body.default)? {
            Some(value) => arguments.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(arguments))
}

fn read_body(
    py: Python<'_>,
    bytes: &Bytes,
    validate: &Py<PyAny>,
    default: &DefaultValue,
) -> PyResult<Option<Py<PyAny>>> {
    if bytes.is_empty() {
        // The I/O worker let it through, so the body may be missing.
        return default.get(py).map(Some);
    }
    let Ok(value) = json::loads(py, bytes) else { return Ok(None) };
    if value.is_none(py) {
        // FastAPI takes `null` for a missing body; what follows from that it decides itself.
        return Ok(None);
    }
    Ok(validate.bind(py).call1((value,)).ok().map(Bound::unbind))
}

/// Calls the handler with `arguments`, by keyword.
pub(crate) fn call_handler<'py>(
    py: Python<'py>,
    route: &PyRoute,
    arguments: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    if arguments.is_empty() {
        return route.handler.bind(py).call0();
    }
    // SAFETY: attached. `Py<T>` is a transparent wrapper of one object pointer, so the slice is an array of live objects,
    // which stay so for the call. It holds exactly as many as `keywords` has names, and none of them is positional: the
    // two come from the same plan. The result is a new reference, or null with an exception set.
    unsafe {
        let result = ffi::PyObject_Vectorcall(
            route.handler.as_ptr(),
            arguments.as_ptr().cast(),
            0,
            route.keywords.as_ptr(),
        );
        Bound::from_owned_ptr_or_err(py, result)
    }
}
