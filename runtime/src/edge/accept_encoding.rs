//! What codings a client takes: the `Accept-Encoding` of a request (RFC 9110, 12.5.3).

use super::coding::Coding;

/// How much a client wants each coding, in thousandths; 0: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    weights: [u16; Coding::ALL.len()],
    /// What it says of a body that is not encoded; 0 where it says nothing.
    identity: u16,
    refuses_identity: bool,
}

impl Accepted {
    /// Reads the fields of a request. A member that is malformed counts as not there.
    pub(super) fn read<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Accepted {
        let mut named: [Option<u16>; Coding::ALL.len()] = Default::default();
        let (mut identity, mut others) = (None, None);
        for field in fields {
            for member in field.split(|&byte| byte == b',') {
                let Some((name, weight)) = read_member(member) else { continue };
                let place = match name {
                    b"*" => &mut others,
                    _ if name.eq_ignore_ascii_case(b"identity") => &mut identity,
                    _ => match Coding::named(name) {
                        Some(coding) => &mut named[coding as usize],
                        None => continue,
                    },
                };
                *place = (*place).max(Some(weight));
            }
        }
        Accepted {
            weights: named.map(|weight| weight.or(others).unwrap_or(0)),
            identity: identity.unwrap_or(0),
            refuses_identity: identity.or(others) == Some(0),
        }
    }

    /// The coding it wants most, of those `offered`; of equals the first. `None` where a body is to be sent as it is.
    pub(super) fn choose(&self, offered: impl IntoIterator<Item = Coding>) -> Option<Coding> {
        let mut best = None;
        for coding in offered {
            let weight = self.weights[coding as usize];
            if weight > 0 && weight >= self.identity && best.is_none_or(|(_, most)| weight > most) {
                best = Some((coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// Whether a body that is not encoded is unwelcome.
    pub(super) fn refuses_identity(&self) -> bool {
        self.refuses_identity
    }
}

/// A coding and its weight; `None` for what cannot be read.
fn read_member(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut weight = 1000;
    for parameter in parts {
        let equals = memchr::memchr(b'=', parameter)?;
        if parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"q") {
            weight = read_weight(parameter[equals + 1..].trim_ascii())?;
        }
    }
    Some((name, weight))
}

/// A number from 0 to 1 in thousandths; further digits are dropped.
fn read_weight(text: &[u8]) -> Option<u16> {
    let (whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match whole {
        b'1' if digits.iter().all(|&digit| digit == b'0') => Some(1000),
        b'0' => {
            let digit = |place: usize| digits.get(place).map_or(0, |digit| u16::from(digit - b'0'));
            let thousandths = digit(0) * 100 + digit(1) * 10 + digit(2);
            // Less than a thousandth is little, but not nothing.
            let is_some = digits.iter().any(|&digit| digit != b'0');
            Some(thousandths.max(u16::from(is_some)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "accept_encoding_tests.rs"]
mod tests;
