//! What a request head must be like to be parsed at all: its size, its lines, where it ends.
//!
//! actix-http takes bare line feeds for line ends, any target that is a URI, any `Host`, and has its own bounds. What other
//! servers on the way may read differently is refused here, before anybody has acted on it.

use memchr::{memchr, memchr_iter};

use super::Refusal;

/// How large a request head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// All of it, in bytes.
    pub(crate) size: usize,
    /// Its first line, without the line end, in bytes.
    pub(crate) line: usize,
    /// Header fields.
    pub(crate) fields: usize,
}

impl HeadLimits {
    /// Where the head at the start of `bytes` ends; `None` if there is more to come. Blank lines before it belong to it.
    pub(super) fn end_of_head(&self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let (mut start, mut lines) = (0, 0);
        for end in memchr_iter(b'\n', bytes) {
            let line = bytes[start..end].strip_suffix(b"\r").ok_or(Refusal::LineEnd)?;
            start = end + 1;
            match line.first() {
                None if lines == 0 => continue,
                None => {
                    self.check_size(start, lines)?;
                    return Ok(Some(start));
                }
                Some(_) if lines == 0 => self.check_request_line(line)?,
                Some(b'h' | b'H') => check_host(line)?,
                Some(_) => {}
            }
            lines += 1;
        }
        if lines == 0 {
            self.check_beginning(&bytes[start..])?;
        }
        self.check_size(bytes.len(), lines)?;
        Ok(None)
    }

    fn check_size(&self, size: usize, lines: usize) -> Result<(), Refusal> {
        if size > self.size {
            Err(Refusal::HeadSize)
        } else if lines > self.fields + 1 {
            Err(Refusal::Fields)
        } else {
            Ok(())
        }
    }

    fn check_request_line(&self, line: &[u8]) -> Result<(), Refusal> {
        if line.len() > self.line {
            return Err(Refusal::LineSize);
        }
        // Methods are short.
        let method = line.iter().position(|byte| *byte == b' ').ok_or(Refusal::RequestLine)?;
        if line.get(method + 1) == Some(&b'/') {
            return Ok(());
        }
        let (method, target) = (&line[..method], &line[method + 1..]);
        let target = &target[..memchr(b' ', target).ok_or(Refusal::RequestLine)?];
        let has_right_form = match method {
            b"CONNECT" => true,
            b"OPTIONS" if target == b"*" => true,
            _ => is_absolute(target),
        };
        has_right_form.then_some(()).ok_or(Refusal::Target)
    }

    /// A request line of which there is only a part yet. What is no HTTP at all is not waited for.
    fn check_beginning(&self, part: &[u8]) -> Result<(), Refusal> {
        match part.first() {
            Some(first) if !is_token(*first) && *first != b'\r' => Err(Refusal::RequestLine),
            // With the carriage return of its end.
            _ if part.len() > self.line + 1 => Err(Refusal::LineSize),
            _ => Ok(()),
        }
    }
}

/// Whether `target` has a scheme and an authority.
fn is_absolute(target: &[u8]) -> bool {
    let Some(scheme) = memchr(b':', target) else { return false };
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    target[0].is_ascii_alphabetic()
        && target[..scheme].iter().all(is_scheme)
        && target[scheme + 1..]
            .strip_prefix(b"//")
            .is_some_and(|rest| !matches!(rest.first(), None | Some(b'/' | b'?' | b'#')))
}

/// If `line` is the field `Host`: whether its value is a host with or without a port.
fn check_host(line: &[u8]) -> Result<(), Refusal> {
    match line.split_at_checked(5) {
        Some((name, value)) if name.eq_ignore_ascii_case(b"host:") => {
            is_host(value.trim_ascii()).then_some(()).ok_or(Refusal::Host)
        }
        _ => Ok(()),
    }
}

pub(super) fn is_host(value: &[u8]) -> bool {
    let (is_name, port) = match value.strip_prefix(b"[") {
        None => {
            let end = value.iter().position(|byte| !IN_NAME[usize::from(*byte)]).unwrap_or(value.len());
            (true, &value[end..])
        }
        Some(address) => {
            let Some(end) = memchr(b']', address) else { return false };
            let (address, port) = (&address[..end], &address[end + 1..]);
            let is_address = |byte: &u8| *byte == b':' || IN_NAME[usize::from(*byte)];
            (!address.is_empty() && address.iter().all(is_address), port)
        }
    };
    match port {
        [] => is_name,
        [b':', port @ ..] => is_name && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What a registered name may hold: RFC 3986, `reg-name`. This is looked at for every request.
const IN_NAME: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~%!$&'()*+,;=";
    let mut index = 0;
    while index < others.len() {
        allowed[others[index] as usize] = true;
        index += 1;
    }
    allowed
};

/// Whether a name of a method or a field may hold `byte`.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
