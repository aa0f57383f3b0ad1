//! A server with handlers made of closures, and a client that sees every byte.
#![allow(dead_code)] // Each test file uses a part of it.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bimetal_runtime::http::Method;
use bimetal_runtime::{
    Answer, BodyMode, Config, Handler, LaneKind, Request, Response, Route, RouteTable, Running, Server,
};

/// Nothing here takes longer; whatever does hangs.
pub const HANG: Duration = Duration::from_secs(20);

pub struct Fn<F>(pub F);

impl<F: std::ops::Fn(Request) -> Answer + Send + Sync + 'static> Handler for Fn<F> {
    fn call(&self, request: Request) -> Answer {
        (self.0)(request)
    }
}

pub fn route(
    methods: &[Method],
    pattern: &str,
    body: BodyMode,
    handler: impl std::ops::Fn(Request) -> Answer + Send + Sync + 'static,
) -> Route {
    Route {
        pattern: pattern.to_owned(),
        methods: methods.to_vec(),
        lane: LaneKind::Native,
        body,
        handler: Arc::new(Fn(handler)),
    }
}

/// `GET`, no body, answered on the spot.
pub fn get(pattern: &str, handler: impl std::ops::Fn(Request) -> Response + Send + Sync + 'static) -> Route {
    route(&[Method::GET], pattern, BodyMode::Ignored, move |request| Answer::Now(handler(request)))
}

/// `GET`, answered later.
pub fn get_later<T: Future<Output = Response> + 'static>(
    pattern: &str,
    handler: impl std::ops::Fn(Request) -> T + Send + Sync + 'static,
) -> Route {
    route(&[Method::GET], pattern, BodyMode::Ignored, move |request| {
        Answer::Later(Box::pin(handler(request)))
    })
}

pub fn table(routes: Vec<Route>) -> Arc<RouteTable> {
    Arc::new(RouteTable::new(routes, None).expect("the routes are good"))
}

pub fn serve(routes: Vec<Route>) -> Running {
    serve_with(Config::default(), routes)
}

pub fn serve_with(config: Config, routes: Vec<Route>) -> Running {
    Server::bind(config).expect("binds").serve(table(routes)).expect("serves")
}

/// One response as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }
}

/// A connection on which requests are written as bytes.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(HANG)).expect("sets a timeout");
        stream.set_nodelay(true).expect("sets no delay");
        Client { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sends");
    }

    pub fn get(&mut self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.reply()
    }

    /// Reads more into the buffer; false at the end of the connection.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let length = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..length]);
        Ok(length > 0)
    }

    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill().expect("reads"), "the connection ended within a response: {:?}", self.buffer);
        }
        self.buffer.drain(..length).collect()
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).expect("a text line");
            }
            assert!(self.fill().expect("reads"), "the connection ended within a line: {:?}", self.buffer);
        }
    }

    /// Status and headers of the next response.
    pub fn head(&mut self) -> Reply {
        let status = self.line();
        let status = status.strip_prefix("HTTP/1.").expect("a status line")[2..5].parse().expect("a status");
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Reply { status, headers, body: Vec::new() }
    }

    /// One chunk of a chunked body; `None` for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line(), 16).expect("the length of a chunk");
        let chunk = self.take(length);
        assert_eq!(self.line(), "");
        (length > 0).then_some(chunk)
    }

    /// The next response, its body read as its headers say.
    pub fn reply(&mut self) -> Reply {
        let mut reply = self.head();
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().expect("a content-length");
            reply.body = self.take(length);
        } else if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                reply.body.extend_from_slice(&chunk);
            }
        }
        reply
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("the connection did not end: {error}"),
            }
        }
        std::mem::take(&mut self.buffer)
    }

    /// Asserts that the connection ends and that nothing more comes.
    pub fn assert_ended(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }
}

/// A stream of chunks that are there already.
pub struct Chunks(pub std::collections::VecDeque<Result<bytes::Bytes, bimetal_runtime::Error>>);

impl futures_core::Stream for Chunks {
    type Item = Result<bytes::Bytes, bimetal_runtime::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

/// Waits for `condition`, which something else brings about.
pub fn until(condition: impl std::ops::Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < HANG, "waited too long");
        std::thread::yield_now();
    }
}

/// Collects the fields of every event.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut fields = Fields(format!("{} ", event.metadata().target()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
