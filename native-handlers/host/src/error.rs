//! The one error type of the crate. Its text is one line: what, at which stage, why, and what to do.

use std::fmt;

/// What went wrong, as far as a caller has to tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The file is not there, not a regular file, cannot be read, or others can write it.
    File,
    /// The file is not a shared library for this machine, or is cut short.
    Format,
    /// The library's hash is not on the list of those that may be loaded.
    NotAllowed,
    /// The private copy could not be made.
    Stage,
    /// The system's loader refused the library.
    Load,
    /// The process has loaded as many libraries as it may.
    Generations,
    /// The library is not a plugin: the export is absent, null or without the magic number.
    Export,
    /// The plugin speaks another version of the ABI, needs a capability this host lacks, or cannot contain panics.
    Abi,
    /// What the plugin says about itself or a handler is invalid.
    Metadata,
    /// Two handlers have one name.
    Duplicate,
    /// The plugin's `init` failed, panicked or did not return in time.
    Init,
    /// The plugin is loaded already, with another configuration.
    Config,
    /// No handler has the name.
    UnknownHandler,
    /// The route's path lacks a parameter the handler wants.
    Parameters,
}

/// An error of the host: its kind, a message of one line, and the cause if there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        // One line, whatever a plugin or the system's loader put into its text.
        let message = message.into().replace(['\n', '\r'], " ");
        Error { kind, message, cause: None }
    }

    pub(crate) fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What went wrong, for a caller that has to tell cases apart.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text, one line.
    pub fn message(&self) -> &str {
        &self.message
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
