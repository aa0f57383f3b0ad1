//! Cookies.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::fields::{extract, extract_optional, Fields};
use super::header::latin1;
use super::{FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// Cookies: one, or a struct with a field for each.
///
/// As in FastAPI the last of several cookies of one name counts, quoted values lose their quotes, and an `Option` or a
/// field with `#[serde(default)]` need not be there:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Preferences {
///     #[serde(default)]
///     dark: bool,
///     font_size: Option<u8>,
/// }
///
/// #[native_handler]
/// fn show(Cookie(session): Cookie<String>, Cookie(preferences): Cookie<Preferences>) -> String {
///     format!("{session} {} {:?}", preferences.dark, preferences.font_size)
/// }
/// ```
///
/// `Option<Cookie<T>>` is `None` where the request has none of them.
#[derive(Clone, Copy, Debug)]
pub struct Cookie<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Cookie<T> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.cookie::<T>(argument, false)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        extract(&Cookies::of(request), slot, Source::Cookie).map(Cookie)
    }
}

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Option<Cookie<T>> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.cookie::<T>(argument, true)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(extract_optional(&Cookies::of(request), slot, Source::Cookie)?.map(Cookie))
    }
}

/// The last cookie of this name.
pub(super) fn cookie(request: Request<'_>, name: &str) -> Option<String> {
    Cookies::of(request).one(name).map(Cow::into_owned)
}

/// Names and values; the last of equal names counts.
struct Cookies(Vec<(String, String)>);

impl Cookies {
    fn of(request: Request<'_>) -> Cookies {
        // Most requests have one field of them at most, which needs no copy of the others.
        let Some(_) = request.header("cookie") else { return Cookies(Vec::new()) };
        let fields = request.headers().into_iter().filter(|(name, _)| name == "cookie");
        Cookies(fields.flat_map(|(_, value)| pairs(&latin1(&value))).collect())
    }
}

impl Fields for Cookies {
    fn one(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.into())
    }

    fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.one(name).into_iter().collect()
    }

    fn names(&self) -> Vec<Cow<'_, str>> {
        let first = |(index, (name, _)): &(usize, &(String, String))| {
            !self.0[..*index].iter().any(|(other, _)| other == name)
        };
        self.0.iter().enumerate().filter(first).map(|(_, (name, _))| name.into()).collect()
    }
}

/// The cookies in one field, as browsers mean them: what has no `=` is a value without a name.
fn pairs(field: &str) -> Vec<(String, String)> {
    let split = |chunk: &str| {
        let (name, value) = chunk.split_once('=').unwrap_or(("", chunk));
        let (name, value) = (name.trim(), value.trim());
        (!name.is_empty() || !value.is_empty()).then(|| (name.to_owned(), unquote(value)))
    };
    field.split(';').filter_map(split).collect()
}

/// A value without its quotes, `\ooo` and `\c` in it resolved, as Python's `http.cookies` does it.
fn unquote(value: &str) -> String {
    let Some(inner) =
        value.strip_prefix('"').filter(|_| value.len() > 1).and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut plain = String::new();
    let mut rest = inner;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        let octal = escaped.get(..3).filter(|digits| {
            digits.starts_with(['0', '1', '2', '3']) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b))
        });
        if let Some(code) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(char::from(code));
            rest = &escaped[3..];
        } else {
            let mut characters = escaped.chars();
            // A backslash at the end stays one.
            plain.push(characters.next().unwrap_or('\\'));
            rest = characters.as_str();
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::{pairs, unquote, Cookies, Fields};

    #[test]
    fn cookies_are_read_as_by_starlette() {
        let cookies = Cookies(pairs(r#"a=1; b="x y"; a=2;; c ; d=e=f;=g"#));
        assert_eq!(cookies.one("a").as_deref(), Some("2"));
        assert_eq!(cookies.one("b").as_deref(), Some("x y"));
        assert_eq!(cookies.one("d").as_deref(), Some("e=f"));
        assert_eq!(cookies.one("").as_deref(), Some("g"));
        assert_eq!(cookies.one("c"), None);
        assert_eq!(cookies.names(), ["a", "b", "", "d"]);
    }

    #[test]
    fn quoted_values_are_read_as_by_python() {
        for (quoted, plain) in [
            (r#""a\"b""#, "a\"b"),
            (r#""\303\251""#, "Ã©"),
            (r#""\012x""#, "\nx"),
            (r#"""#, r#"""#),
            (r#""a"#, r#""a"#),
            (r#""\\""#, "\\"),
        ] {
            assert_eq!(unquote(quoted), plain, "{quoted}");
        }
    }
}
