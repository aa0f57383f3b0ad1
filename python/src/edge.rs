//! The layers of the edge, as Python sees them: made for the server, or used one by one inside other middleware.

use std::borrow::Cow;
use std::sync::Arc;

use bimetal_runtime::edge::{
    Coding, Compression, Conditional, ContentEncoding, Cors, CorsOptions, Encoder, Hosts, HttpsRedirect,
    Layer, Noted, RequestHead, SecurityHeaders,
};
use bimetal_runtime::http::{HeaderFields, HeaderName, HeaderValue, StatusCode};
use bimetal_runtime::{Body, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::asgi::message::{header_fields, name_and_value};
use crate::errors::from_runtime;

/// Bodies larger than this are compressed without holding the interpreter, in bytes.
const HOLDING: usize = 4 * 1024;

/// Status, header fields and body.
type Answer<'py> = (u16, Bound<'py, PyList>, Bound<'py, PyBytes>);

/// One layer of the edge.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct EdgeLayer {
    layer: Arc<Layer>,
}

#[pymethods]
impl EdgeLayer {
    /// Makes a layer of `kind` from the arguments of the middleware of that job.
    #[new]
    fn new(kind: &str, config: &Bound<'_, PyDict>) -> PyResult<Self> {
        let layer = match kind {
            "cors" => Cors::new(cors(config)?).map(|cors| Layer::Cors(cors.into())),
            "gzip" => {
                let excluded: Vec<String> = option(config, "exclude_content_types")?;
                Ok(Layer::Compression(Compression::new(
                    option(config, "minimum_size")?,
                    option(config, "compresslevel")?,
                    &excluded,
                )))
            }
            "hosts" => {
                let allowed: Vec<String> = option(config, "allowed_hosts")?;
                Hosts::new(&allowed, option(config, "www_redirect")?).map(Layer::Hosts)
            }
            "https" => Ok(Layer::HttpsRedirect(HttpsRedirect)),
            "compression" => {
                let excluded: Vec<String> = option(config, "exclude_content_types")?;
                let minimum_size = option(config, "minimum_size")?;
                ContentEncoding::new(minimum_size, &codings(config)?, &excluded).map(Layer::ContentEncoding)
            }
            "etag" => Ok(Layer::Conditional(Conditional::new(option(config, "weak")?))),
            "security" => {
                let fields: Vec<(String, String)> = option(config, "headers")?;
                SecurityHeaders::new(&fields).map(Layer::SecurityHeaders)
            }
            other => return Err(PyValueError::new_err(format!("there is no edge layer {other:?}"))),
        };
        Ok(EdgeLayer { layer: Arc::new(layer.map_err(|error| from_runtime(&error))?) })
    }

    /// What it was made as.
    #[getter]
    fn kind(&self) -> &'static str {
        match &*self.layer {
            Layer::Cors(_) => "cors",
            Layer::Compression(_) => "gzip",
            Layer::Hosts(_) => "hosts",
            Layer::HttpsRedirect(_) => "https",
            Layer::ContentEncoding(_) => "compression",
            Layer::Conditional(_) => "etag",
            Layer::SecurityHeaders(_) => "security",
        }
    }

    /// Whether it completes bodies, and may keep the head of a response back until the body begins.
    #[getter]
    fn is_about_bodies(&self) -> bool {
        self.layer.is_about_bodies()
    }

    /// Whether its answers hold the request's URL.
    #[getter]
    fn redirects(&self) -> bool {
        match &*self.layer {
            Layer::Hosts(hosts) => hosts.redirects(),
            Layer::HttpsRedirect(_) => true,
            Layer::Cors(_)
            | Layer::Compression(_)
            | Layer::ContentEncoding(_)
            | Layer::Conditional(_)
            | Layer::SecurityHeaders(_) => false,
        }
    }

    /// Answers the request of an ASGI scope, or lets it pass.
    fn before<'py>(&self, py: Python<'py>, scope: &Bound<'py, PyDict>) -> PyResult<Option<Answer<'py>>> {
        if !matches!(&*self.layer, Layer::Cors(_) | Layer::Hosts(_) | Layer::HttpsRedirect(_)) {
            return Ok(None);
        }
        self.layer.before(&ScopeHead::read(scope)?).map(|response| answer(py, response, None)).transpose()
    }

    /// Completes a whole response to the request of an ASGI scope.
    fn after<'py>(
        &self,
        py: Python<'py>,
        scope: &Bound<'py, PyDict>,
        status: u16,
        raw_headers: &Bound<'py, PyAny>,
        body: Bound<'py, PyBytes>,
    ) -> PyResult<Answer<'py>> {
        let response = Response::new(status_code(status)?).with_headers(header_fields(raw_headers)?);
        let Some(noted) = self.noted(scope)? else {
            return answer(py, response, Some(body));
        };
        if !self.layer.is_about_bodies() {
            return answer(py, self.layer.after(&noted, response), Some(body));
        }
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let response = response.with_body(bytes.clone());
        let response = if bytes.len() > HOLDING {
            py.detach(|| self.layer.after_at_once(&noted, response))
        } else {
            self.layer.after_at_once(&noted, response)
        };
        let unchanged = matches!(&response.body, Body::Full(sent) if sent.as_ptr() == bytes.as_ptr());
        answer(py, response, unchanged.then_some(body))
    }

    /// Completes the head of a response whose body comes in parts; gives what the parts have to go through, if they do.
    fn stream<'py>(
        &self,
        py: Python<'py>,
        scope: &Bound<'py, PyDict>,
        status: u16,
        raw_headers: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyList>, Option<EdgeStream>)> {
        let status = status_code(status)?;
        let mut headers: HeaderFields = header_fields(raw_headers)?.into();
        let encoder =
            self.noted(scope)?.and_then(|noted| self.layer.after_head(&noted, status, &mut headers));
        let stream = encoder.map(|encoder| EdgeStream { encoder: Mutex::new(encoder) });
        Ok((fields(py, &headers)?, stream))
    }

    /// Whether the layer keeps such a head back until the body begins.
    fn holds(&self, status: u16, raw_headers: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.layer.is_about_bodies()
            && self.layer.holds(status_code(status)?, &header_fields(raw_headers)?))
    }
}

impl EdgeLayer {
    /// The layer, for the server.
    pub(crate) fn layer(&self) -> Arc<Layer> {
        Arc::clone(&self.layer)
    }

    /// What the layer has to know of the request of an ASGI scope; `None` for a WebSocket.
    fn noted(&self, scope: &Bound<'_, PyDict>) -> PyResult<Option<Noted>> {
        let head = ScopeHead::read(scope)?;
        let mut noted = Noted::of(&head);
        if let Some(noted) = &mut noted {
            self.layer.note(&head, noted);
        }
        Ok(noted)
    }
}

/// Compresses the parts of a body.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct EdgeStream {
    encoder: Mutex<Encoder>,
}

#[pymethods]
impl EdgeStream {
    /// The bytes to send for one part.
    fn part<'py>(&self, py: Python<'py>, part: &[u8], more: bool) -> Bound<'py, PyBytes> {
        let step = || {
            let mut encoder = self.encoder.lock();
            if more {
                encoder.flushed(part)
            } else {
                encoder.finished(part)
            }
        };
        let sent = if part.len() > HOLDING { py.detach(step) } else { step() };
        PyBytes::new(py, &sent)
    }
}

/// Pairs of name and level, as `[("zstd", 3)]`.
fn codings(config: &Bound<'_, PyDict>) -> PyResult<Vec<(Coding, u32)>> {
    let given: Vec<(String, u32)> = option(config, "codings")?;
    let known = |name: &str| Coding::ALL.into_iter().find(|coding| coding.token() == name);
    let coding = |(name, level): (String, u32)| {
        let coding = known(&name);
        coding
            .map(|coding| (coding, level))
            .ok_or_else(|| PyValueError::new_err(format!("there is no coding {name:?}")))
    };
    given.into_iter().map(coding).collect()
}

fn cors(config: &Bound<'_, PyDict>) -> PyResult<CorsOptions> {
    Ok(CorsOptions {
        allow_origins: option(config, "allow_origins")?,
        allow_origin_regex: option(config, "allow_origin_regex")?,
        allow_methods: option(config, "allow_methods")?,
        allow_headers: option(config, "allow_headers")?,
        allow_credentials: option(config, "allow_credentials")?,
        allow_private_network: option(config, "allow_private_network")?,
        expose_headers: option(config, "expose_headers")?,
        max_age: option(config, "max_age")?,
    })
}

fn option<'py, T>(config: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value = config.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
    value.extract().map_err(Into::into)
}

fn status_code(status: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(status).map_err(|_| PyValueError::new_err(format!("{status} is not an HTTP status")))
}

/// A response for Python; its body is `body` where that is given.
fn answer<'py>(
    py: Python<'py>,
    response: Response,
    body: Option<Bound<'py, PyBytes>>,
) -> PyResult<Answer<'py>> {
    let headers = fields(py, &response.headers)?;
    let body = match (body, &response.body) {
        (Some(body), _) => body,
        (None, Body::Full(bytes)) => PyBytes::new(py, bytes),
        (None, _) => PyBytes::new(py, b""),
    };
    Ok((response.status.as_u16(), headers, body))
}

fn fields<'py>(py: Python<'py>, headers: &[(HeaderName, HeaderValue)]) -> PyResult<Bound<'py, PyList>> {
    let pairs = headers.iter().map(|(name, value)| {
        (PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes()))
    });
    PyList::new(py, pairs)
}

/// What a layer reads of an ASGI scope.
struct ScopeHead {
    method: String,
    websocket: bool,
    secure: bool,
    path: String,
    query: String,
    server: Option<(String, u16)>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl ScopeHead {
    fn read(scope: &Bound<'_, PyDict>) -> PyResult<ScopeHead> {
        let py = scope.py();
        let text = |key| -> PyResult<Option<String>> {
            scope.get_item(key)?.map(|value| value.extract()).transpose()
        };
        let scheme = text(intern!(py, "scheme"))?;
        let query = scope.get_item(intern!(py, "query_string"))?;
        let server = scope.get_item(intern!(py, "server"))?.filter(|server| !server.is_none());
        let headers = scope.get_item(intern!(py, "headers"))?;
        Ok(ScopeHead {
            method: text(intern!(py, "method"))?.unwrap_or_default(),
            websocket: text(intern!(py, "type"))?.is_some_and(|kind| kind == "websocket"),
            secure: scheme.is_some_and(|scheme| matches!(scheme.as_str(), "https" | "wss")),
            path: text(intern!(py, "path"))?.unwrap_or_default(),
            query: query.map_or(Ok(String::new()), |query| {
                query.extract::<Vec<u8>>().map(|query| String::from_utf8_lossy(&query).into_owned())
            })?,
            // The path of a Unix socket has no port, and stands in no URL.
            server: server
                .map(|server| -> PyResult<_> {
                    // A pair; what kind of sequence it is, is up to the server.
                    let port: Option<u16> = server.get_item(1)?.extract()?;
                    port.map(|port| Ok((server.get_item(0)?.extract()?, port))).transpose()
                })
                .transpose()?
                .flatten(),
            headers: headers.map_or_else(
                || Ok(Vec::new()),
                |headers| {
                    let pair = |pair: PyResult<Bound<'_, PyAny>>| {
                        let (name, value) = name_and_value(&pair?)?;
                        Ok((name.to_vec(), value.to_vec()))
                    };
                    headers.try_iter()?.map(pair).collect::<PyResult<_>>()
                },
            )?,
        })
    }
}

impl RequestHead for ScopeHead {
    fn method(&self) -> &str {
        &self.method
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(given, _)| given == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        let found = self.headers.iter().filter(|(given, _)| given == name.as_bytes());
        found.map(|(_, value)| value.as_slice()).collect()
    }

    fn is_websocket(&self) -> bool {
        self.websocket
    }

    fn is_secure(&self) -> bool {
        self.secure
    }

    fn path(&self) -> Cow<'_, str> {
        self.path.as_str().into()
    }

    fn query(&self) -> &str {
        &self.query
    }

    fn server(&self) -> Option<(Cow<'_, str>, u16)> {
        self.server.as_ref().map(|(host, port)| (host.as_str().into(), *port))
    }
}
