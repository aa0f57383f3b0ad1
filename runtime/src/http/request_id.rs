//! `X-Request-ID`: one name for a request, in every log that it leaves a line in.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use super::{HeaderName, HeaderValue};

/// The field.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest that is taken from a client.
const LONGEST: usize = 128;

/// Whether a client's value may go into logs and on to others.
pub(crate) fn is_sane(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:/+=@,".contains(byte);
    (1..=LONGEST).contains(&value.len()) && value.iter().all(is_plain)
}

/// Makes names nobody has had, on one I/O worker.
#[derive(Default)]
pub(crate) struct RequestIds {
    key: RandomState,
    made: Cell<u64>,
}

impl RequestIds {
    /// Another one: 32 hexadecimal digits.
    pub(crate) fn make(&self) -> HeaderValue {
        let number = self.made.get();
        self.made.set(number + 1);
        let text = format!("{:016x}{:016x}", self.key.hash_one(number), self.key.hash_one((number, 1_u8)));
        // Digits are valid in a field.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{is_sane, RequestIds};

    #[test]
    fn only_what_is_plain_and_short_is_taken() {
        for sane in ["a", "7f3c-42", "1-67891233-abcdef012345678912345678", "a/b+c=", &"x".repeat(128)] {
            assert!(is_sane(sane.as_bytes()), "{sane}");
        }
        for wild in ["", "a b", "a\tb", "a\"b", "{}", "\u{fc}", "a\\b", "<a>", &"x".repeat(129)] {
            assert!(!is_sane(wild.as_bytes()), "{wild}");
        }
    }

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (RequestIds::default(), RequestIds::default());
        let made: HashSet<_> = (0..1000).flat_map(|_| [one.make(), other.make()]).collect();
        assert_eq!(made.len(), 2000);
        assert!(made.iter().all(|id| is_sane(id.as_bytes()) && id.len() == 32));
    }
}
