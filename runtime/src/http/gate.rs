//! One request at a time for the dispatcher.
//!
//! actix-http reads ahead: it parses the requests a client has pipelined while an earlier one is still being
//! answered, and then frames that earlier answer by what it knows of the latest request. A `GET` followed by
//! a `HEAD` gets no body that way. So the socket hands over the bytes of the next request only when the
//! answer to the one before is complete.
//!
//! A head passes as a whole and only if it is fit to be parsed, see [`strict`](super::strict); of a body exactly what it says
//! it is.

use super::chunks::Chunks;
use super::strict::HeadLimits;
use super::Refusal;

/// What the dispatcher may read next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    /// A request head, when it is whole.
    #[default]
    Head,
    /// Nothing: a head has been handed over, and what it announces is not known yet.
    Parsed,
    /// This many bytes of a body.
    Body(u64),
    /// The rest of a chunked body.
    Chunked(Chunks),
    /// Nothing: the request is complete and being answered.
    Closed,
    /// Anything, from now on: no other request follows.
    Open,
}

/// How a request announces its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// No body.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// No end: from here on the connection is not HTTP, or not for long.
    Unknown,
}

/// What becomes of bytes that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The dispatcher may have so many of them; the gate takes them for passed.
    Pass(usize),
    /// They are the beginning of a head: they come again, with what follows.
    More,
    /// The head they begin with is answered in the dispatcher's place.
    Refuse(Refusal),
    /// They break the framing of the body.
    Broken(Refusal),
}

impl Gate {
    /// Decides about `bytes`, which come next.
    pub(crate) fn pass(&mut self, bytes: &[u8], busy: bool, limits: &HeadLimits) -> Verdict {
        let length = match self {
            Gate::Head => {
                return match limits.end_of_head(bytes) {
                    Ok(None) => Verdict::More,
                    Ok(Some(length)) => {
                        *self = Gate::Parsed;
                        Verdict::Pass(length)
                    }
                    Err(refusal) => {
                        *self = Gate::Parsed;
                        Verdict::Refuse(refusal)
                    }
                }
            }
            Gate::Open => return Verdict::Pass(bytes.len()),
            Gate::Parsed | Gate::Closed => return Verdict::Pass(0),
            Gate::Body(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                if *left > 0 {
                    return Verdict::Pass(length);
                }
                length
            }
            Gate::Chunked(chunks) => match chunks.pass(bytes) {
                Ok(None) => return Verdict::Pass(bytes.len()),
                Ok(Some(length)) => length,
                Err(refusal) => return Verdict::Broken(refusal),
            },
        };
        *self = if busy { Gate::Closed } else { Gate::Head };
        Verdict::Pass(length)
    }

    /// The head has become a request.
    pub(crate) fn announce(&mut self, body: Announced) {
        if *self == Gate::Parsed {
            *self = match body {
                Announced::Nothing | Announced::Length(0) => Gate::Closed,
                Announced::Length(length) => Gate::Body(length),
                Announced::Chunked => Gate::Chunked(Chunks::new()),
                Announced::Unknown => Gate::Open,
            };
        }
    }

    /// The request has been answered.
    pub(crate) fn answered(&mut self) {
        if *self == Gate::Closed {
            *self = Gate::Head;
        }
    }

    /// Whether nothing may pass now.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(self, Gate::Parsed | Gate::Closed)
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
