//! `Cache-Control`, as far as it counts here.

use std::time::Duration;

use crate::http::{header, HeaderFields};

/// The directives of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `no-store`, `private` or `no-cache`: not for a cache that many share.
    pub(super) forbids: bool,
    /// How long the answer is fresh, for caches like this one.
    pub(super) max_age: Option<Duration>,
    /// Once stale it must not be given: `must-revalidate`, `proxy-revalidate`, `s-maxage`.
    pub(super) never_stale: bool,
}

impl Directives {
    pub(super) fn of(headers: &HeaderFields) -> Directives {
        let mut found = Directives::default();
        let (mut shared, mut any) = (None, None);
        for (_, value) in headers.iter().filter(|(name, _)| *name == header::CACHE_CONTROL) {
            each(value.as_bytes(), |name, argument| match name {
                "no-store" | "private" | "no-cache" => found.forbids = true,
                "must-revalidate" | "proxy-revalidate" => found.never_stale = true,
                // A number that cannot be read is taken for a stale answer (RFC 9111, 4.2.1).
                "s-maxage" => {
                    shared = Some(seconds(argument).unwrap_or_default());
                    found.never_stale = true;
                }
                "max-age" => any = Some(seconds(argument).unwrap_or_default()),
                _ => {}
            });
        }
        found.max_age = shared.or(any);
        found
    }
}

/// What a request says of the answers it would take.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) no_store: bool,
    /// `no-cache`: not without asking the handler.
    pub(super) no_cache: bool,
    /// How old an answer may be.
    pub(super) max_age: Option<Duration>,
    pub(super) only_if_cached: bool,
}

impl Wishes {
    /// Adds what one field of `Cache-Control` says.
    pub(super) fn read(&mut self, value: &[u8]) {
        each(value, |name, argument| match name {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = Some(seconds(argument).unwrap_or_default()),
            _ => {}
        });
    }
}

fn each(value: &[u8], mut visit: impl FnMut(&str, Option<&str>)) {
    let Ok(text) = std::str::from_utf8(value) else { return };
    for part in text.split(',') {
        let (name, argument) = match part.split_once('=') {
            Some((name, argument)) => (name, Some(argument.trim().trim_matches('"'))),
            None => (part, None),
        };
        visit(&name.trim().to_ascii_lowercase(), argument);
    }
}

fn seconds(argument: Option<&str>) -> Option<Duration> {
    argument?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Directives, Wishes};
    use crate::http::{header, HeaderFields, HeaderValue};

    fn of(values: &[&'static str]) -> Directives {
        let fields = values.iter().map(|value| (header::CACHE_CONTROL, HeaderValue::from_static(value)));
        Directives::of(&fields.collect::<HeaderFields>())
    }

    #[test]
    fn what_responses_say() {
        assert_eq!(of(&[]), Directives::default());
        assert_eq!(of(&["public"]), Directives::default());
        for value in ["no-store", "Private", "max-age=9, no-cache", "private=\"x-a\""] {
            assert!(of(&[value]).forbids, "{value}");
        }
        assert_eq!(of(&["public", "max-age=60"]).max_age, Some(Duration::from_secs(60)));
        assert_eq!(of(&["max-age=60, s-maxage=\"5\""]).max_age, Some(Duration::from_secs(5)));
        assert_eq!(of(&["max-age=soon"]).max_age, Some(Duration::ZERO));
        assert!(of(&["s-maxage=5"]).never_stale && of(&["must-revalidate"]).never_stale);
        assert!(!of(&["max-age=5"]).never_stale);
    }

    #[test]
    fn what_requests_say() {
        let mut wishes = Wishes::default();
        wishes.read(b"max-age=0");
        wishes.read(b"No-Cache, only-if-cached");
        let expected =
            Wishes { no_store: false, no_cache: true, max_age: Some(Duration::ZERO), only_if_cached: true };
        assert_eq!(wishes, expected);
    }
}
