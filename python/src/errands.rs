//! Errands for Python: a route of the same server, called from its event loop without a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bimetal_runtime::http::{HeaderName, HeaderValue, Method};
use bimetal_runtime::server::ErrandReply;
use bimetal_runtime::{Errand, ServerHandle};
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::awaitable::{pending, Awaitable, Outcome};
use crate::errors::BimetalError;
use crate::event_loop::LoopSide;

/// An errand of what Python has, on behalf of a request from outside. `client`: its address and port.
pub(crate) fn errand(
    method: &str,
    target: String,
    headers: &[(Vec<u8>, Vec<u8>)],
    body: Vec<u8>,
    client: Option<(String, u16)>,
    secure: bool,
) -> PyResult<Errand> {
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{method:?} is no method of HTTP")))?;
    let headers = headers.iter().map(|(name, value)| field(name, value)).collect::<PyResult<Vec<_>>>()?;
    // A client that a proxy has named may have any name in place of an address.
    let client = client.and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port)));
    let body = Bytes::from(body);
    Ok(Errand { method, target, headers, body, client, secure, depth: 1, deadline: None, renews: false })
}

/// Sends it; ends with status, header fields and body of the answer.
pub(crate) fn send(
    py: Python<'_>,
    side: &Arc<LoopSide>,
    handle: &ServerHandle,
    errand: Errand,
) -> PyResult<Py<Awaitable>> {
    let reply = handle.call(errand);
    pending(py, side, async move {
        let reply = reply.await;
        Box::new(move |py: Python<'_>| match reply {
            Ok(reply) => into_python(py, &reply),
            Err(error) => Err(BimetalError::new_err(error.to_string())),
        }) as Outcome
    })
}

fn field(name: &[u8], value: &[u8]) -> PyResult<(HeaderName, HeaderValue)> {
    let unfit = || {
        let name = String::from_utf8_lossy(name);
        PyValueError::new_err(format!("the header field {name:?} has a name or a value that cannot be sent"))
    };
    Ok((
        HeaderName::from_bytes(name).map_err(|_| unfit())?,
        HeaderValue::from_bytes(value).map_err(|_| unfit())?,
    ))
}

fn into_python(py: Python<'_>, reply: &ErrandReply) -> PyResult<Py<PyAny>> {
    let headers = PyList::empty(py);
    for (name, value) in &reply.headers {
        headers.append((PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes())))?;
    }
    let answer = (reply.status.as_u16(), headers, PyBytes::new(py, &reply.body));
    Ok(answer.into_pyobject(py)?.into_any().unbind())
}
