//! What a handshake agrees on about compression: permessage-deflate, RFC 7692.

use std::fmt;
use std::ops::RangeInclusive;

use crate::http::{header, Request};

const PERMESSAGE_DEFLATE: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The windows of the standard, as exponents of two.
const WINDOW_BITS: RangeInclusive<u8> = 8..=15;
/// The smallest window that zlib compresses with.
const SMALLEST_WINDOW: u8 = 9;
/// The window of each direction where the client has no say in it, as uvicorn has it: 4 KiB.
const OWN_WINDOW: u8 = 12;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// The window of what the server sends.
    pub(super) server_bits: u8,
    /// The window of what the client sends.
    pub(super) client_bits: u8,
    /// Whether the server says it: a client that does not know the parameter must not get it.
    says_client_bits: bool,
    /// Whether a message may refer to those before it.
    pub(super) server_takeover: bool,
    pub(super) client_takeover: bool,
}

/// The header field that is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Agreement {
    /// Takes the first offer of a request that can be honoured, if there is any.
    pub(super) fn on(request: &Request) -> Result<Option<Agreement>, Malformed> {
        for field in request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
            let offers = offers(field.to_str().map_err(|_| Malformed)?)?;
            if let Some(agreement) = offers.iter().find_map(Agreement::of) {
                return Ok(Some(agreement));
            }
        }
        Ok(None)
    }

    #[cfg(test)]
    pub(super) fn of_field(field: &str) -> Agreement {
        let offers = offers(field).expect("the field is well-formed");
        offers.iter().find_map(Agreement::of).expect("the offer can be honoured")
    }

    /// What an offer leads to; nothing if it is of something else, or cannot be honoured to the letter.
    fn of(offer: &Offer<'_>) -> Option<Agreement> {
        if offer.name != PERMESSAGE_DEFLATE {
            return None;
        }
        let mut agreement = Agreement {
            server_bits: OWN_WINDOW,
            client_bits: *WINDOW_BITS.end(),
            says_client_bits: false,
            server_takeover: true,
            client_takeover: true,
        };
        for (place, (name, value)) in offer.parameters.iter().enumerate() {
            if offer.parameters[..place].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (*name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => agreement.server_takeover = false,
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => agreement.client_takeover = false,
                (SERVER_MAX_WINDOW_BITS, Some(bits)) => {
                    agreement.server_bits =
                        window(bits).filter(|&bits| bits >= SMALLEST_WINDOW)?.min(OWN_WINDOW);
                }
                (CLIENT_MAX_WINDOW_BITS, bits) => {
                    let most = bits.as_ref().map_or(Some(OWN_WINDOW), |bits| window(bits))?;
                    agreement.client_bits = most.min(OWN_WINDOW);
                    agreement.says_client_bits = true;
                }
                _ => return None,
            }
        }
        Some(agreement)
    }
}

/// The field of the response.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PERMESSAGE_DEFLATE)?;
        if !self.server_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if !self.client_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        write!(f, "; {SERVER_MAX_WINDOW_BITS}={}", self.server_bits)?;
        if self.says_client_bits {
            write!(f, "; {CLIENT_MAX_WINDOW_BITS}={}", self.client_bits)?;
        }
        Ok(())
    }
}

fn window(text: &str) -> Option<u8> {
    if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|bits| WINDOW_BITS.contains(bits))
}

/// One extension as a client offers it.
#[derive(Debug, PartialEq, Eq)]
struct Offer<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<String>)>,
}

/// The offers of one field, in the client's order.
fn offers(field: &str) -> Result<Vec<Offer<'_>>, Malformed> {
    let mut rest = Rest(field);
    let mut offers = Vec::new();
    loop {
        // Lists may have empty places.
        while rest.take(',') {}
        if rest.is_empty() {
            return Ok(offers);
        }
        let mut offer = Offer { name: rest.token()?, parameters: Vec::new() };
        while rest.take(';') {
            let name = rest.token()?;
            let value = if rest.take('=') { Some(rest.value()?) } else { None };
            offer.parameters.push((name, value));
        }
        offers.push(offer);
        if !rest.is_empty() && !rest.take(',') {
            return Err(Malformed);
        }
    }
}

/// What of a field has not been read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_empty(&mut self) -> bool {
        self.skip_space();
        self.0.is_empty()
    }

    fn take(&mut self, mark: char) -> bool {
        self.skip_space();
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_space();
        let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_of_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        if token.is_empty() {
            Err(Malformed)
        } else {
            Ok(token)
        }
    }

    /// A token, or a token in quotes.
    fn value(&mut self) -> Result<String, Malformed> {
        if !self.take('"') {
            return self.token().map(str::to_owned);
        }
        let (quoted, rest) = self.0.split_once('"').ok_or(Malformed)?;
        self.0 = rest;
        // No parameter has a value that would need a backslash.
        let mut inner = Rest(quoted);
        let token = inner.token()?;
        if token.len() == quoted.len() {
            Ok(token.to_owned())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
#[path = "extension_tests.rs"]
mod tests;
