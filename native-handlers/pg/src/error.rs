//! The one error of the crate.

use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::SqlState;

use crate::value::Mismatch;

/// What went wrong, and what PostgreSQL said about it.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    database: Option<Box<DatabaseError>>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The pool's settings or its DSN cannot be used.
    Config,
    /// An argument does not fit its parameter, or their numbers differ.
    Argument,
    /// There is no connection, or it was lost, or the server did not answer in time.
    Unavailable,
    /// Every connection is in use, for longer than one waits.
    Exhausted,
    /// The pool is closed.
    Closed,
    /// The pool is used in another way than it can be.
    Usage,
    /// PostgreSQL refused the statement.
    Database,
    /// A value of the result cannot be given out.
    Value,
}

/// What PostgreSQL says of an error.
#[derive(Clone, Debug, Default)]
pub struct DatabaseError {
    /// The five characters of its `SQLSTATE`.
    pub sqlstate: String,
    /// `ERROR`, `FATAL`, ...
    pub severity: String,
    /// One line, in the server's language.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The constraint that was violated.
    pub constraint: Option<String>,
    /// The schema of the table.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The data type.
    pub datatype: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), database: None }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What PostgreSQL said, where it said something.
    pub fn database(&self) -> Option<&DatabaseError> {
        self.database.as_deref()
    }

    /// Its `SQLSTATE`, or nothing.
    pub(crate) fn sqlstate(&self) -> &str {
        self.database.as_ref().map_or("", |database| &database.sqlstate)
    }

    /// The error of a connection that could not be made.
    pub(crate) fn connecting(error: &tokio_postgres::Error, place: &str) -> Error {
        let mut made = Error::from_postgres(error);
        if made.kind == ErrorKind::Value {
            made.kind = ErrorKind::Unavailable;
        }
        made.message = match &made.database {
            Some(database) => format!("no connection to {place}: {}", database.message),
            None => format!("no connection to {place}: {}", chain(error)),
        };
        // A wrong password and the like: the server is there and will say the same next time, and so will the next request.
        made.kind = ErrorKind::Unavailable;
        made
    }

    /// What a statement ended with.
    pub(crate) fn from_postgres(error: &tokio_postgres::Error) -> Error {
        if let Some(db) = error.as_db_error() {
            let database = DatabaseError {
                sqlstate: db.code().code().to_owned(),
                severity: db.severity().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
                hint: db.hint().map(str::to_owned),
                constraint: db.constraint().map(str::to_owned),
                schema: db.schema().map(str::to_owned),
                table: db.table().map(str::to_owned),
                column: db.column().map(str::to_owned),
                datatype: db.datatype().map(str::to_owned),
                position: match db.position() {
                    Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
                    _ => None,
                },
            };
            let kind = if is_unavailable(db.code()) { ErrorKind::Unavailable } else { ErrorKind::Database };
            return Error { kind, message: database.message.clone(), database: Some(Box::new(database)) };
        }
        if let Some(mismatch) = error.source().and_then(|source| source.downcast_ref::<Mismatch>()) {
            return Error::new(ErrorKind::Argument, mismatch.to_string());
        }
        if error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
            return Error::new(
                ErrorKind::Unavailable,
                format!("the connection to PostgreSQL was lost: {}", chain(error)),
            );
        }
        Error::new(ErrorKind::Value, chain(error))
    }
}

/// What says that the server or the connection ends or has not begun, and nothing about the statement.
fn is_unavailable(code: &SqlState) -> bool {
    matches!(
        *code,
        SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::DATABASE_DROPPED
    ) || code.code().starts_with("08")
}

/// An error with what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
