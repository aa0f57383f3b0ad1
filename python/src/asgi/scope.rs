//! The head of a request as an ASGI scope, key for key what uvicorn gives.

use std::net::{IpAddr, SocketAddr};

use bimetal_runtime::http::{Address, Version};
use bimetal_runtime::Head;
use parking_lot::Mutex;
use percent_encoding::percent_encode;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use pyo3::{intern, IntoPyObjectExt};

use crate::application::Application;

/// The HTTP part of the ASGI version the server speaks.
const HTTP_SPEC: &str = "2.3";
/// The WebSocket part.
const WEBSOCKET_SPEC: &str = "2.4";

/// The text of the last IP address: behind a proxy, and for the server's own, the next one is the same.
#[derive(Default)]
pub(crate) struct LastAddress(Mutex<Option<(IpAddr, Py<PyString>)>>);

impl LastAddress {
    fn text<'py>(&self, py: Python<'py>, ip: IpAddr) -> Bound<'py, PyString> {
        let last = self.0.lock().as_ref().filter(|(of, _)| *of == ip).map(|(_, text)| text.clone_ref(py));
        if let Some(text) = last {
            return text.into_bound(py);
        }
        let text = PyString::new(py, &ip.to_string());
        let before = self.0.lock().replace((ip, text.clone().unbind()));
        // Not under the lock.
        drop(before);
        text
    }

    fn scope<'py>(&self, py: Python<'py>, address: Option<SocketAddr>) -> PyResult<Bound<'py, PyAny>> {
        match address {
            Some(address) => (self.text(py, address.ip()), address.port()).into_bound_py_any(py),
            None => Ok(py.None().into_bound(py)),
        }
    }
}

fn server<'py>(
    py: Python<'py>,
    application: &Application,
    local: Option<&Address>,
) -> PyResult<Bound<'py, PyAny>> {
    match local {
        // The path as text, and not as a `pathlib.Path`.
        Some(Address::Unix(path)) => (path.as_os_str(), py.None()).into_bound_py_any(py),
        Some(Address::Inet(local)) => application.last_local.scope(py, Some(*local)),
        None => Ok(py.None().into_bound(py)),
    }
}

fn common<'py>(
    py: Python<'py>,
    head: &Head,
    application: &Application,
    spec: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let scope = PyDict::new(py);
    let asgi = PyDict::new(py);
    asgi.set_item(intern!(py, "version"), intern!(py, "3.0"))?;
    asgi.set_item(intern!(py, "spec_version"), spec)?;
    scope.set_item(intern!(py, "asgi"), asgi)?;
    let version = match head.version {
        Version::HTTP_10 => intern!(py, "1.0"),
        Version::HTTP_2 => intern!(py, "2"),
        _ => intern!(py, "1.1"),
    };
    scope.set_item(intern!(py, "http_version"), version)?;
    scope.set_item(intern!(py, "server"), server(py, application, head.local.as_ref())?)?;
    let client = match &head.client {
        Some(client) => client.into_bound_py_any(py)?,
        None => application.last_peer.scope(py, head.peer)?,
    };
    scope.set_item(intern!(py, "client"), client)?;
    let root_path = &application.root_path;
    scope.set_item(intern!(py, "root_path"), root_path)?;
    if root_path.is_empty() {
        scope.set_item(intern!(py, "path"), &head.path)?;
        scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, head.raw_path.as_bytes()))?;
    } else {
        // As uvicorn: the application sees the path the client asked the proxy for.
        let raw_root = percent_encode(root_path.as_bytes(), &PATH).to_string();
        scope.set_item(intern!(py, "path"), format!("{root_path}{}", head.path))?;
        scope.set_item(
            intern!(py, "raw_path"),
            PyBytes::new(py, format!("{raw_root}{}", head.raw_path).as_bytes()),
        )?;
    }
    scope.set_item(intern!(py, "query_string"), PyBytes::new(py, head.query.as_bytes()))?;
    let headers = PyList::empty(py);
    for (name, value) in &head.headers {
        let pair = [PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes())];
        headers.append(PyTuple::new(py, pair)?)?;
    }
    scope.set_item(intern!(py, "headers"), headers)?;
    // No lock is held across the interpreter: its holder may be stopped there, and those that wait never stop.
    let state = application.state.lock().as_ref().map(|state| state.clone_ref(py));
    if let Some(state) = state {
        scope.set_item(intern!(py, "state"), state.bind(py).copy()?)?;
    }
    Ok(scope)
}

/// What may stand in a path as it is.
const PATH: percent_encoding::AsciiSet =
    percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The scope of an HTTP request.
pub(crate) fn http<'py>(
    py: Python<'py>,
    head: &Head,
    application: &Application,
) -> PyResult<Bound<'py, PyDict>> {
    let scope = common(py, head, application, HTTP_SPEC)?;
    scope.set_item(intern!(py, "type"), intern!(py, "http"))?;
    scope.set_item(intern!(py, "method"), head.method.as_str())?;
    let scheme = if head.secure { intern!(py, "https") } else { intern!(py, "http") };
    scope.set_item(intern!(py, "scheme"), scheme)?;
    Ok(scope)
}

/// The scope of a WebSocket session.
pub(super) fn websocket<'py>(
    py: Python<'py>,
    head: &Head,
    subprotocols: &[String],
    application: &Application,
) -> PyResult<Bound<'py, PyDict>> {
    let scope = common(py, head, application, WEBSOCKET_SPEC)?;
    scope.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
    let scheme = if head.secure { intern!(py, "wss") } else { intern!(py, "ws") };
    scope.set_item(intern!(py, "scheme"), scheme)?;
    scope.set_item(intern!(py, "subprotocols"), subprotocols)?;
    let extensions = PyDict::new(py);
    extensions.set_item(intern!(py, "websocket.http.response"), PyDict::new(py))?;
    scope.set_item(intern!(py, "extensions"), extensions)?;
    Ok(scope)
}
