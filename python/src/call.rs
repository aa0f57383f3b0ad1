//! A request of a compiled route on its lane: a call of the handler where that is all there is to do, and the route's
//! operation where there is more.

use std::sync::Arc;
use std::time::Instant;

use bimetal_runtime::http::StatusCode;
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::{Head, Response};
use bytes::Bytes;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio_util::sync::CancellationToken;

use crate::asgi::http::Incoming;
use crate::asgi::message::{header_fields, to_bytes};
use crate::errors::exception;
use crate::event_loop::LoopSide;
use crate::exchanges::Exchange;
use crate::imports;
use crate::json;
use crate::lanes::Lanes;
use crate::params::Value;
use crate::plan::{PyBody, PyDirect, PyModel, PyParam, PyRoute};
use crate::responder::Responder;
use crate::route_call;

/// A request of a compiled route, read and on its way to its lane's thread.
pub(crate) struct Call {
    pub(crate) route: usize,
    pub(crate) values: Values,
    pub(crate) reply: Reply,
}

/// What the I/O worker has read of the request's parameters.
pub(crate) enum Values {
    /// All that a direct call of the handler needs.
    Direct(Vec<Value>),
    /// Those of each step of the operation; `None` where the step reads them itself.
    Steps(Vec<Option<Vec<Value>>>),
}

/// What is needed to answer, whichever way it goes.
pub(crate) struct Reply {
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) head: Head,
    pub(crate) body: Incoming,
    pub(crate) respond: Responder,
    pub(crate) gone: CancellationToken,
    pub(crate) running: Option<Exchange>,
}

/// Where a call is: on a runner, or on the loop's thread.
pub(crate) type Place<'a> = Option<&'a Arc<LoopSide>>;

impl Call {
    /// The call will not be run.
    pub(crate) fn refuse(self, why: Refusal) {
        self.reply.respond.refuse(why);
    }
}

/// What a call of the handler gave: its result, or the coroutine that will.
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart at once; a box would be an allocation for each request"
)]
pub(crate) enum Begun<'py> {
    /// The handler was called.
    Called(PyResult<Bound<'py, PyAny>>, Reply),
    /// The operation runs instead.
    Operation,
}

/// Calls the handler where the request allows it, and starts the operation where not.
pub(crate) fn begin<'py>(py: Python<'py>, route: &PyRoute, call: Call, place: Place<'_>) -> Begun<'py> {
    let Call { route: number, values, reply } = call;
    let steps = match (values, &route.direct) {
        (Values::Direct(values), Some(direct)) => {
            match arguments(py, route, direct, values, reply.body.whole()) {
                Ok(Some(arguments)) => return Begun::Called(call_handler(py, direct, &arguments), reply),
                Ok(None) => Vec::new(),
                Err(error) => return Begun::Called(Err(error), reply),
            }
        }
        (Values::Direct(_), None) => Vec::new(),
        (Values::Steps(steps), _) => steps,
    };
    route_call::run(py, route, number, steps, reply, place);
    Begun::Operation
}

impl Reply {
    /// Answers with the handler's result.
    pub(crate) fn result(
        self,
        py: Python<'_>,
        route: &PyRoute,
        number: usize,
        place: Place<'_>,
        result: PyResult<Bound<'_, PyAny>>,
    ) {
        let status = route.direct.as_ref().map_or(StatusCode::OK, |direct| direct.status);
        let returned = Instant::now();
        let encoded = result.and_then(|result| encode(py, route, &result).map(|encoded| (encoded, result)));
        let outcome = match encoded {
            Ok((Encoded::Json(body), _)) => return self.send(Response::json(status, body), returned),
            Ok((Encoded::Response(response), _)) => return self.send(response, returned),
            Ok((Encoded::ResponseObject, result)) => result,
            Err(error) => match exception(py, &error) {
                Ok(exception) => exception,
                Err(error) => return route_call::fail(py, self, &error),
            },
        };
        route_call::settle(py, route, number, self, place, outcome);
    }

    fn send(self, response: Response, returned: Instant) {
        self.respond.send_serialised(response, returned);
        self.gone.cancel();
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
    encode_value(py, route.model.as_ref(), result).map(Encoded::Json)
}

/// The bytes of a result that is no response object.
pub(crate) fn encode_value(
    py: Python<'_>,
    model: Option<&PyModel>,
    result: &Bound<'_, PyAny>,
) -> PyResult<Bytes> {
    let Some(model) = model else {
        return json::dumps(result);
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
    Ok(Bytes::copy_from_slice(bytes.cast::<PyBytes>()?.as_bytes()))
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
            return Ok((status.as_u16() >= 200)
                .then_some(Response::new(status).with_headers(headers).with_body(body)));
        }
    }
    Ok(None)
}

/// The value of a parameter; `None` when the request does not fit the plan after all.
pub(crate) fn argument(py: Python<'_>, param: &PyParam, value: Value) -> PyResult<Option<Py<PyAny>>> {
    Ok(Some(match value {
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
    }))
}

/// The arguments of the handler, in the order of its keywords; `None` when the request does not fit the plan after all.
fn arguments(
    py: Python<'_>,
    route: &PyRoute,
    direct: &PyDirect,
    values: Vec<Value>,
    body: &[u8],
) -> PyResult<Option<Vec<Py<PyAny>>>> {
    let mut arguments = Vec::with_capacity(values.len() + usize::from(direct.body.is_some()));
    let params = route.steps.first().and_then(Option::as_ref);
    for (value, param) in values.into_iter().zip(params.into_iter().flatten()) {
        match argument(py, param, value)? {
            Some(argument) => arguments.push(argument),
            None => return Ok(None),
        }
    }
    if let Some(plan) = &direct.body {
        match read_body(py, route, body, plan)? {
            Some(value) => arguments.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(arguments))
}

fn read_body(py: Python<'_>, route: &PyRoute, bytes: &[u8], plan: &PyBody) -> PyResult<Option<Py<PyAny>>> {
    if bytes.is_empty() {
        // The I/O worker let it through, so the body may be missing.
        return plan.default.get(py).map(Some);
    }
    if !json::is_pythons_own(py)? {
        // The application has put another function in the place of `json.loads`, and FastAPI calls that.
        return Ok(None);
    }
    let Ok(value) = json::loads(py, bytes) else { return Ok(None) };
    if value.is_none(py) {
        // Some versions of FastAPI take `null` for a missing body: its own functions know.
        return Ok(None);
    }
    match plan.validate.bind(py).call1((&value,)) {
        Ok(value) => Ok(Some(value.unbind())),
        // The parameters are right, so this is all there is to say.
        Err(error) if error.is_instance(py, imports::VALIDATION_ERROR.get(py)?) => {
            let arguments = (error.value(py), value);
            let invalid = route.operation.bind(py).call_method1(intern!(py, "invalid_body"), arguments)?;
            Err(PyErr::from_value(invalid))
        }
        // What else a validator of the application raises is not for the client's eyes.
        Err(error) => Err(error),
    }
}

/// Calls the handler with `arguments`, by keyword.
fn call_handler<'py>(
    py: Python<'py>,
    direct: &PyDirect,
    arguments: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    if arguments.is_empty() {
        return direct.handler.bind(py).call0();
    }
    // SAFETY: attached. `Py<T>` is a transparent wrapper of one object pointer, so the slice is an array of live objects,
    // which stay so for the call. It holds exactly as many as `keywords` has names, and none of them is positional: the
    // two come from the same plan. The result is a new reference, or null with an exception set.
    unsafe {
        let result = ffi::PyObject_Vectorcall(
            direct.handler.as_ptr(),
            arguments.as_ptr().cast(),
            0,
            direct.keywords.as_ptr(),
        );
        Bound::from_owned_ptr_or_err(py, result)
    }
}
