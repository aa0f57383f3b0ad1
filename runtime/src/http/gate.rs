//! One request at a time for the dispatcher.
//!
//! actix-http reads ahead: it parses the requests a client has pipelined while an earlier one is still being
//! answered, and then frames that earlier answer by what it knows of the latest request. A `GET` followed by
//! a `HEAD` gets no body that way. So the socket hands over the bytes of the next request only when the
//! answer to the one before is complete.

use memchr::memchr_iter;

/// What the dispatcher may read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// A request head, to its blank line.
    Head(Lines),
    /// Nothing: a head has been handed over, and what it announces is not known yet.
    Parsed,
    /// This many bytes of a body.
    Body(u64),
    /// Nothing: the request is complete and being answered.
    Closed,
    /// Anything, from now on: where the body ends is known to the dispatcher alone.
    Open,
}

/// How a request announces its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// No body.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// An end that only the body itself tells.
    Unknown,
}

/// The lines of a head so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// There was a line with text: the next blank line ends the head. Blank lines before it are to be
    /// ignored.
    begun: bool,
    /// The line that has not ended yet has text.
    text: bool,
}

impl Lines {
    /// Goes on with `bytes`; the length of what belongs to the head if it ends there.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let has_text = |line: &[u8]| line.iter().any(|byte| *byte != b'\r');
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            if std::mem::take(&mut self.text) || has_text(&bytes[start..end]) {
                self.begun = true;
            } else if self.begun {
                return Some(end + 1);
            }
            start = end + 1;
        }
        self.text |= has_text(&bytes[start..]);
        None
    }
}

impl Gate {
    /// How many of `bytes`, which come next, may pass. Notes them as passed.
    pub(crate) fn pass(&mut self, bytes: &[u8], busy: bool) -> usize {
        match self {
            Gate::Open => bytes.len(),
            Gate::Parsed | Gate::Closed => 0,
            Gate::Head(lines) => match lines.scan(bytes) {
                Some(length) => {
                    *self = Gate::Parsed;
                    length
                }
                None => bytes.len(),
            },
            Gate::Body(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                if *left == 0 {
                    *self = if busy { Gate::Closed } else { Gate::Head(Lines::default()) };
                }
                length
            }
        }
    }

    /// The head has become a request.
    pub(crate) fn announce(&mut self, body: Announced) {
        if *self == Gate::Parsed {
            *self = match body {
                Announced::Nothing | Announced::Length(0) => Gate::Closed,
                Announced::Length(length) => Gate::Body(length),
                Announced::Unknown => Gate::Open,
            };
        }
    }

    /// The request has been answered.
    pub(crate) fn answered(&mut self) {
        if *self == Gate::Closed {
            *self = Gate::Head(Lines::default());
        }
    }

    /// Whether nothing may pass now.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(self, Gate::Parsed | Gate::Closed)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::Head(Lines::default())
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
