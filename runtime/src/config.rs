//! The one configuration struct. It reads no environment: whoever embeds the runtime fills it in.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::{websocket, HeadLimits, TrustedProxies};
use crate::spans::Recorder;
use crate::Tls;

/// How a [`Server`](crate::Server) listens and what it allows.
///
/// ```
/// use bimetal_runtime::Config;
///
/// let config = Config { port: 8000, ..Config::default() };
/// assert_eq!(config.host, "127.0.0.1");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to bind: an IP address or a host name.
    pub host: String,
    /// TCP port; 0 lets the system choose one.
    pub port: u16,
    /// The path of a Unix socket to bind in place of host and port. A socket file on which nobody listens is replaced; the
    /// file is removed when the server stops.
    pub uds: Option<PathBuf>,
    /// How connections are encrypted; they are not by default.
    pub tls: Option<Tls>,
    /// Whether the [trusted proxies](Config::trusted_proxies) begin each connection with a header of the PROXY protocol, version
    /// 1 or 2, that names the client. One without it is closed; a connection of anybody else is taken as it is.
    pub proxy_protocol: bool,
    /// Whether HTTP/2 is spoken with clients that want it: by agreement in the handshake of TLS, or without TLS from their first
    /// byte on.
    pub http2: bool,
    /// How long a client may take for what comes before HTTP: the header of the PROXY protocol, the handshake of TLS. Beyond it
    /// the connection is closed.
    pub handshake_timeout: Duration,
    /// I/O workers: threads that parse requests, run native handlers and write responses.
    pub io_threads: usize,
    /// Connections the kernel may queue before they are accepted.
    pub backlog: u32,
    /// Connections open at once for each I/O worker; further ones wait in the backlog.
    pub max_connections: usize,
    /// Largest request head in bytes, at most 131,072; beyond it the answer is 431.
    pub max_head_size: usize,
    /// Longest request line in bytes, at most 65,535; beyond it the answer is 414.
    pub max_request_line: usize,
    /// Most header fields of a request, at most 96; beyond it the answer is 431.
    pub max_header_fields: usize,
    /// Largest request body in bytes; beyond it the answer is 413.
    pub max_body_size: usize,
    /// How long an idle keep-alive connection stays open.
    pub keep_alive: Duration,
    /// How long a client may take to send a request head; beyond it the answer is 408.
    pub head_timeout: Duration,
    /// How long a client may pause within a request body that is being read, or take nothing of a response
    /// that is being written. Beyond it the connection is closed, where a handler waits for the whole body with a 408.
    pub body_timeout: Duration,
    /// How long [`Running::stop`](crate::Running::stop) waits for requests in flight.
    pub drain_timeout: Duration,
    /// How long a stopping server keeps idle connections open, to answer one more request on each and have the client
    /// close it. For a server whose socket others serve on: its clients never meet a closing connection. Zero closes
    /// them at once.
    pub handover: Duration,
    /// Whether each request is logged when it has been answered.
    pub access_log: bool,
    /// Whether each request has an `X-Request-ID`, the client's or one made here, which its response and the access log have too.
    pub request_id: bool,
    /// The proxies that are believed about where a request came from; nobody by default.
    pub trusted_proxies: TrustedProxies,
    /// Where requests are recorded that no lane records; nowhere by default.
    pub spans: Option<Recorder>,
    /// What WebSockets may do.
    pub websocket: websocket::Settings,
    /// Whether each response of a handler says in a `Server-Timing` field where its time went.
    pub timing: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "127.0.0.1".to_owned(),
            port: 0,
            uds: None,
            tls: None,
            proxy_protocol: false,
            http2: false,
            handshake_timeout: Duration::from_secs(10),
            io_threads: 1,
            backlog: 2048,
            max_connections: 25_000,
            max_head_size: 32 * 1024,
            max_request_line: 8 * 1024,
            max_header_fields: 96,
            max_body_size: 16 * 1024 * 1024,
            keep_alive: Duration::from_secs(75),
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            handover: Duration::ZERO,
            access_log: false,
            request_id: false,
            trusted_proxies: TrustedProxies::default(),
            spans: None,
            websocket: websocket::Settings::default(),
            timing: false,
        }
    }
}

impl Config {
    pub(crate) fn head_limits(&self) -> HeadLimits {
        HeadLimits { size: self.max_head_size, line: self.max_request_line, fields: self.max_header_fields }
    }
}
