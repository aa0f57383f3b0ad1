//! Reading the messages applications send.

use std::borrow::Cow;

use bimetal_runtime::http::{HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString, PyTuple};

/// A message: the dictionary an application gives to `send`.
pub(super) struct Message<'a, 'py>(&'a Bound<'py, PyDict>);

impl<'a, 'py> Message<'a, 'py> {
    pub(super) fn new(message: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        match message.cast::<PyDict>() {
            Ok(message) => Ok(Message(message)),
            Err(_) => Err(PyTypeError::new_err(format!(
                "an ASGI message is a dict, not {}",
                message.get_type().name()?
            ))),
        }
    }

    pub(super) fn py(&self) -> Python<'py> {
        self.0.py()
    }

    /// The message's type.
    pub(super) fn kind(&self) -> PyResult<Cow<'static, str>> {
        let py = self.py();
        let Some(kind) = self.0.get_item(intern!(py, "type"))? else {
            return Err(PyValueError::new_err("an ASGI message needs the key 'type'"));
        };
        // As literals of a program they are the same objects.
        if kind.is(intern!(py, "http.response.start")) {
            return Ok("http.response.start".into());
        }
        if kind.is(intern!(py, "http.response.body")) {
            return Ok("http.response.body".into());
        }
        kind.extract().map(Cow::Owned)
    }

    /// A value, unless the message lacks it or has None there.
    pub(super) fn get(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.0.get_item(key)?.filter(|value| !value.is_none()))
    }

    /// The status code.
    pub(super) fn status(&self) -> PyResult<StatusCode> {
        let status = self
            .get(intern!(self.py(), "status"))?
            .ok_or_else(|| PyValueError::new_err("http.response.start needs 'status'"))?;
        let code: u16 = status.extract()?;
        // 1xx would announce another response: none comes.
        if code < 200 {
            return Err(PyValueError::new_err(format!("{code} is not the status of a final response")));
        }
        StatusCode::from_u16(code).map_err(|_| PyValueError::new_err(format!("{code} is not an HTTP status")))
    }

    /// The header fields.
    pub(super) fn headers(&self) -> PyResult<Vec<(HeaderName, HeaderValue)>> {
        self.get(intern!(self.py(), "headers"))?.map_or_else(|| Ok(Vec::new()), |pairs| header_fields(&pairs))
    }

    /// The body, empty where there is none.
    pub(super) fn body(&self) -> PyResult<Bytes> {
        self.get(intern!(self.py(), "body"))?.map_or_else(|| Ok(Bytes::new()), |body| to_bytes(&body))
    }

    /// Whether more of the body follows.
    pub(super) fn more_body(&self) -> PyResult<bool> {
        self.get(intern!(self.py(), "more_body"))?.map_or(Ok(false), |more| more.is_truthy())
    }
}

/// Header fields, from pairs of bytes.
pub(crate) fn header_fields(pairs: &Bound<'_, PyAny>) -> PyResult<Vec<(HeaderName, HeaderValue)>> {
    let mut fields = Vec::new();
    for pair in pairs.try_iter()? {
        let (name, value) = name_and_value(&pair?)?;
        fields.push((header_name(&name)?, header_value(&name, &value)?));
    }
    Ok(fields)
}

pub(crate) fn name_and_value(pair: &Bound<'_, PyAny>) -> PyResult<(Bytes, Bytes)> {
    if let Ok(pair) = pair.cast::<PyTuple>() {
        return Ok((to_bytes(&pair.get_item(0)?)?, to_bytes(&pair.get_item(1)?)?));
    }
    Ok((to_bytes(&pair.get_item(0)?)?, to_bytes(&pair.get_item(1)?)?))
}

/// A copy of a bytes-like object.
pub(crate) fn to_bytes(value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let bytes = value.py().get_type::<PyBytes>().call1((value,))?;
        return Ok(Bytes::copy_from_slice(bytes.cast::<PyBytes>()?.as_bytes()));
    }
    Err(PyTypeError::new_err(format!("bytes are needed here, not {}", value.get_type().name()?)))
}

fn header_name(name: &[u8]) -> PyResult<HeaderName> {
    HeaderName::from_bytes(name).map_err(|_| {
        PyValueError::new_err(format!("{:?} is not a header name", String::from_utf8_lossy(name)))
    })
}

fn header_value(name: &[u8], value: &[u8]) -> PyResult<HeaderValue> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    let value = &value[start..end];
    HeaderValue::from_bytes(value).map_err(|_| {
        PyValueError::new_err(format!(
            "the value of header {:?} has a character that cannot be sent",
            String::from_utf8_lossy(name)
        ))
    })
}

/// The error for a message that cannot come now, in uvicorn's words.
pub(super) fn unexpected(expected: &str, got: &str) -> PyErr {
    PyRuntimeError::new_err(format!("Expected ASGI message '{expected}', but got '{got}'."))
}
