//! One connection: a request at a time, and its answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

const MAX_FIELDS: usize = 64;

/// How far a connection has come.
pub enum Progress {
    /// Nothing to tell.
    Same,
    /// The request that was due then is answered, with 200; the next may be sent.
    Answered(Instant),
    /// It is refused: 503. Whether the server says when to come again.
    Refused(Instant, bool),
}

enum Answer {
    Good,
    Refusal { retry_after: bool },
}

/// A kept connection.
pub struct Connection {
    stream: TcpStream,
    request: Rc<[u8]>,
    written: usize,
    received: Vec<u8>,
    /// When the request on its way was due, and its number.
    current: Option<(Instant, u64)>,
}

impl Connection {
    /// Begins to connect. `request` is what [`Connection::send`] sends.
    pub fn open(
        address: SocketAddr,
        request: Rc<[u8]>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection { stream, request, written: 0, received: Vec::with_capacity(1024), current: None })
    }

    /// Sends request `number`, due at `due`, as soon as the connection stands.
    pub fn send(&mut self, due: Instant, number: u64) -> io::Result<Progress> {
        self.current = Some((due, number));
        self.written = 0;
        self.received.clear();
        self.advance()
    }

    /// The number of the request on its way.
    pub fn number(&self) -> Option<u64> {
        self.current.map(|(_, number)| number)
    }

    /// Does what can be done without waiting. An error, also any status but 200 and 503, is the end of the connection.
    pub fn advance(&mut self) -> io::Result<Progress> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if self.current.is_some() {
            self.write()?;
        }
        loop {
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.received.extend_from_slice(&bytes[..read]),
                Err(error) if waits(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if self.received.is_empty() {
            return Ok(Progress::Same);
        }
        let Some(answer) = self.answer()? else { return Ok(Progress::Same) };
        let (due, _) = self.current.take().ok_or_else(|| wrong("an answer that nobody asked for"))?;
        self.received.clear();
        Ok(match answer {
            Answer::Good => Progress::Answered(due),
            Answer::Refusal { retry_after } => Progress::Refused(due, retry_after),
        })
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if waits(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What has come, once it is whole.
    fn answer(&self) -> io::Result<Option<Answer>> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(&self.received).map_err(|error| wrong(error.to_string()))?;
        let httparse::Status::Complete(begin) = parsed else { return Ok(None) };
        let names = |name: &str| head.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        let answer = match head.code {
            Some(200) => Answer::Good,
            Some(503) => Answer::Refusal { retry_after: names("retry-after") },
            other => return Err(wrong(format!("status {}", other.unwrap_or_default()))),
        };
        let length = head
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("content-length"))
            .and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok())
            .ok_or_else(|| wrong("an answer without content-length"))?;
        match self.received.len() - begin {
            there if there > length => Err(wrong("an answer longer than it says")),
            there => Ok((there == length).then_some(answer)),
        }
    }
}

fn waits(error: &io::Error) -> bool {
    // A connection that does not stand yet says NotConnected on some systems.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}
