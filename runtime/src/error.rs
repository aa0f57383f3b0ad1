//! The one error type of the crate, and the one place that maps an error's kind to a status.

use std::any::Any;
use std::fmt;

use crate::http::StatusCode;

/// What went wrong, as far as a caller has to tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The listening address could not be bound.
    Bind,
    /// Two routes claim the same requests, or a pattern cannot be read.
    Route,
    /// The configuration asks for something impossible.
    Config,
    /// The server's threads could not be started or failed.
    Server,
    /// The request body is larger than [`Config::max_body_size`](crate::Config::max_body_size).
    BodyTooLarge,
    /// The request body is cut short or wrongly framed.
    BadBody,
    /// The request body did not go on within [`Config::body_timeout`](crate::Config::body_timeout).
    SlowBody,
    /// The client went away.
    Disconnected,
    /// A queue is full or its oldest job too old.
    Overloaded,
    /// The handler failed: a bug in the application or in this crate.
    Handler,
}

impl ErrorKind {
    /// The status a client gets for an error of this kind.
    pub fn status(self) -> StatusCode {
        match self {
            ErrorKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::BadBody | ErrorKind::Disconnected => StatusCode::BAD_REQUEST,
            ErrorKind::SlowBody => StatusCode::REQUEST_TIMEOUT,
            ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Bind
            | ErrorKind::Route
            | ErrorKind::Config
            | ErrorKind::Server
            | ErrorKind::Handler => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error of the runtime: its kind, what failed and where, and the cause if there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` names what failed, where, and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), cause: None }
    }

    /// The same error with the error that led to it.
    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What went wrong, for a caller that has to tell cases apart.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

/// What a caught panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
