//! What is set for a server: Python's keyword arguments, read one by one. What is not given is as the runtime has it.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use bimetal_host::DEFAULT_DEADLINE;
use bimetal_runtime::http::{websocket, TrustedProxies};
use bimetal_runtime::lane;
use bimetal_runtime::probes::Thresholds;
use bimetal_runtime::{ClientCertificates, Config, Tls};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tokio::sync::Semaphore;

use crate::asgi::handler::Ahead;
use crate::caching::CAPACITY;
use crate::errors::BimetalError;

/// The settings of one server. Their names and meaning are in `bimetal/options.py`.
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// A socket that this process was given.
    pub(crate) fd: Option<RawFd>,
    pub(crate) root_path: String,
    pub(crate) sync_threads: usize,
    /// Requests that wait for a lane at most.
    pub(crate) max_queue: usize,
    /// And for how long at most.
    pub(crate) max_queue_age: Duration,
    pub(crate) native_timeout: Duration,
    /// Bytes of the response cache.
    pub(crate) cache_size: u64,
    /// What of each WebSocket may wait for the application.
    pub(crate) ahead: Ahead,
    /// Whether probes are served where the application has no route for them.
    pub(crate) probes: bool,
    /// Whether the page for people is served.
    pub(crate) dashboard: bool,
    /// Where they are served besides.
    pub(crate) admin: Option<(String, u16)>,
    pub(crate) thresholds: Thresholds,
}

impl Settings {
    /// Reads all that is in `given`.
    ///
    /// # Errors
    ///
    /// `TypeError` for a value of another type and for a name that is none, `ValueError` for a value that is not allowed,
    /// `BimetalError` where TLS is not possible as asked.
    pub(crate) fn read(given: &Bound<'_, PyDict>) -> PyResult<Settings> {
        let mut given = Given { left: given.copy()? };
        let usual = Config::default();
        let lane = lane::Limits::default();
        let thresholds = Thresholds::default();
        let websocket = websocket::Settings {
            max_message_size: given.take("ws_max_size", usual.websocket.max_message_size)?,
            deflate: given.take("ws_per_message_deflate", usual.websocket.deflate)?,
            ping_interval: given.seconds_if_any("ws_ping_interval", usual.websocket.ping_interval)?,
            ping_timeout: given.seconds_if_any("ws_ping_timeout", usual.websocket.ping_timeout)?,
        };
        let settings = Settings {
            config: Config {
                host: given.take("host", usual.host)?,
                port: given.take("port", usual.port)?,
                uds: given.take("uds", usual.uds)?,
                tls: tls(&mut given)?,
                proxy_protocol: given.take("proxy_protocol", usual.proxy_protocol)?,
                http2: given.take("http2", usual.http2)?,
                handshake_timeout: given.seconds("handshake_timeout", usual.handshake_timeout)?,
                io_threads: given.take("io_threads", usual.io_threads)?,
                backlog: given.take("backlog", usual.backlog)?,
                max_connections: given.take("max_connections", usual.max_connections)?,
                max_head_size: given.take("max_head_size", usual.max_head_size)?,
                max_request_line: given.take("max_request_line", usual.max_request_line)?,
                max_header_fields: given.take("max_header_fields", usual.max_header_fields)?,
                max_body_size: given.take("max_body_size", usual.max_body_size)?,
                keep_alive: given.seconds("keep_alive", usual.keep_alive)?,
                head_timeout: given.seconds("head_timeout", usual.head_timeout)?,
                body_timeout: given.seconds("body_timeout", usual.body_timeout)?,
                drain_timeout: given.seconds("drain_timeout", usual.drain_timeout)?,
                handover: given.seconds("handover", usual.handover)?,
                access_log: given.take("access_log", usual.access_log)?,
                request_id: given.take("request_id", usual.request_id)?,
                trusted_proxies: TrustedProxies::parse(given.take("trusted_proxies", Vec::<String>::new())?)
                    .map_err(PyValueError::new_err)?,
                spans: usual.spans,
                websocket,
                timing: given.take("timing", usual.timing)?,
            },
            ahead: Ahead {
                messages: given.take("ws_max_queue", Ahead::MESSAGES)?.clamp(1, Semaphore::MAX_PERMITS),
                bytes: websocket.max_message_size,
            },
            fd: given.take("fd", None)?,
            root_path: given.take("root_path", String::new())?,
            sync_threads: given.take("sync_threads", lane.max_threads)?,
            max_queue: given.take("max_queue", lane.max_queue)?,
            max_queue_age: given.seconds("max_queue_age", lane.max_age)?,
            native_timeout: given.seconds("native_timeout", DEFAULT_DEADLINE)?,
            cache_size: given.take("cache_size", CAPACITY)?,
            probes: given.take("probes", false)?,
            dashboard: given.take("dashboard", None)?.unwrap_or(false),
            admin: given.take("admin", None)?,
            thresholds: Thresholds {
                loop_lag: given.seconds("ready_loop_lag", thresholds.loop_lag)?,
                queue_age: given.seconds("ready_queue_age", thresholds.queue_age)?,
                saturation: given.take("ready_saturation", thresholds.saturation)?,
            },
        };
        given.end()?;
        Ok(settings)
    }
}

fn tls(given: &mut Given<'_>) -> PyResult<Option<Tls>> {
    let certificate: Option<PathBuf> = given.take("ssl_certfile", None)?;
    let key: Option<PathBuf> = given.take("ssl_keyfile", None)?;
    let password = given.take("ssl_keyfile_password", None)?;
    let client_authorities = given.take("ssl_ca_certs", None)?;
    let client_certificates = match given.take("ssl_cert_reqs", 0)? {
        0 => ClientCertificates::Ignored,
        1 => ClientCertificates::Optional,
        2 => ClientCertificates::Required,
        other => {
            return Err(PyValueError::new_err(format!(
                "ssl_cert_reqs={other} is unknown; use 0 (none), 1 (optional) or 2 (required)"
            )))
        }
    };
    if certificate.is_none() && (key.is_some() || client_certificates != ClientCertificates::Ignored) {
        return Err(BimetalError::new_err(
            "TLS is not possible: there is no certificate (give its file with --ssl-certfile)",
        ));
    }
    Ok(certificate.map(|certificate| Tls {
        certificate,
        key,
        password,
        client_authorities,
        client_certificates,
    }))
}

/// The keywords that have not been read yet.
struct Given<'py> {
    left: Bound<'py, PyDict>,
}

impl<'py> Given<'py> {
    /// What was given as `name`, or else `usual`.
    fn take<T: FromPyObjectOwned<'py>>(&mut self, name: &str, usual: T) -> PyResult<T> {
        let Some(value) = self.left.get_item(name)? else { return Ok(usual) };
        self.left.del_item(name)?;
        value.extract::<T>().map_err(|error| {
            let error: PyErr = error.into();
            if error.is_instance_of::<PyTypeError>(value.py()) {
                return PyTypeError::new_err(format!("argument '{name}': {}", error.value(value.py())));
            }
            error
        })
    }

    /// As [`take`](Given::take), for a time in seconds.
    fn seconds(&mut self, name: &str, usual: Duration) -> PyResult<Duration> {
        seconds(name, self.take(name, usual.as_secs_f64())?)
    }

    /// A time that may be left out, by None or by zero, as for uvicorn.
    fn seconds_if_any(&mut self, name: &str, usual: Option<Duration>) -> PyResult<Option<Duration>> {
        let given: Option<f64> = self.take(name, usual.map(|usual| usual.as_secs_f64()))?;
        let given = given.map(|given| seconds(name, given)).transpose()?;
        Ok(given.filter(|given| !given.is_zero()))
    }

    /// Nothing may be left.
    fn end(self) -> PyResult<()> {
        match self.left.iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(PyTypeError::new_err(format!(
                "a server has no setting '{}'; see bimetal.options.Limits for those there are",
                name.cast::<PyString>()?.to_str()?
            ))),
        }
    }
}

/// A time that Python gave in seconds.
///
/// # Errors
///
/// `ValueError` for what is no time, with `name`.
pub(crate) fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| PyValueError::new_err(format!("{name}: {value} is not a time in seconds")))
}
