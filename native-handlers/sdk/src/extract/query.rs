//! Query parameters.

use std::borrow::Cow;
use std::collections::HashSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::fields::{extract, extract_optional, Fields};
use super::{FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// Query parameters: one, or a struct with a field for each.
///
/// As in FastAPI the last of several values counts, a `Vec` gets all of them, and an `Option` or a field with
/// `#[serde(default)]` need not be there:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Search {
///     q: String,
///     #[serde(default)]
///     tags: Vec<String>,
///     limit: Option<i64>,
/// }
///
/// #[native_handler]
/// fn search(Query(search): Query<Search>, Query(page): Query<Option<i64>>) -> String {
///     format!("{} {:?} {:?} {page:?}", search.q, search.tags, search.limit)
/// }
/// ```
///
/// A struct with `#[serde(deny_unknown_fields)]` answers like FastAPI's parameter model with `extra="forbid"`, and
/// `Option<Query<Struct>>` like an optional parameter model: `None` where the request has none of the fields. Constraints
/// are those of schemars:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Page {
///     #[schemars(range(min = 1, max = 100))]
///     limit: i64,
///     #[schemars(length(min = 3), regex(pattern = "^[a-z]+$"))]
///     order: Option<String>,
/// }
///
/// #[native_handler]
/// fn list(page: Option<Query<Page>>) -> String {
///     page.map_or_else(|| "all".to_owned(), |Query(page)| format!("{} {:?}", page.limit, page.order))
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Query<T> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.query::<T>(argument, false)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        extract(&Pairs(request.query()), slot, Source::Query).map(Query)
    }
}

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Option<Query<T>> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.query::<T>(argument, true)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(extract_optional(&Pairs(request.query()), slot, Source::Query)?.map(Query))
    }
}

/// A query string as sent.
struct Pairs<'r>(&'r str);

impl<'r> Pairs<'r> {
    fn iter(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || loop {
            if rest.is_empty() {
                return None;
            }
            let (mut equals, mut end) = (None, rest.len());
            for (at, byte) in rest.bytes().enumerate() {
                match byte {
                    b'&' => {
                        end = at;
                        break;
                    }
                    b'=' if equals.is_none() => equals = Some(at),
                    _ => {}
                }
            }
            let pair = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if !pair.is_empty() {
                return Some(equals.map_or((pair, ""), |at| (&pair[..at], &pair[at + 1..])));
            }
        })
    }

    /// The values of `name`, as sent.
    fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'r str> + use<'r, 's> {
        self.iter()
            .filter(move |(key, _)| if is_escaped(key) { decode(key) == name } else { *key == name })
            .map(|(_, value)| value)
    }
}

impl Fields for Pairs<'_> {
    fn one(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values(name).last().map(decode)
    }

    fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.values(name).map(decode).collect()
    }

    fn names(&self) -> Vec<Cow<'_, str>> {
        let mut seen = HashSet::new();
        self.iter().map(|(key, _)| decode(key)).filter(|name| seen.insert(name.clone())).collect()
    }
}

/// Whether [`decode`] would change the text.
fn is_escaped(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'+' | b'%'))
}

/// Form encoding resolved: `+` is a space, percent escapes are bytes, and bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !is_escaped(text) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        decoded.push(match (byte, digit(at), digit(at + 1)) {
            (b'+', ..) => b' ',
            (b'%', Some(high), Some(low)) => {
                at += 2;
                (high * 16 + low) as u8
            }
            _ => byte,
        });
    }
    match String::from_utf8_lossy(&decoded) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::{decode, Fields, Pairs};

    #[test]
    fn form_encoding_is_resolved() {
        for (text, expected) in [
            ("plain", "plain"),
            ("x+y%20z%2B", "x y z+"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%FF", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), expected);
        }
    }

    #[test]
    fn the_last_value_counts_and_a_list_gets_all() {
        let pairs = Pairs("a=1&b&a=2&&c%20d=3&=4&e=f=g");
        assert_eq!(pairs.one("a").as_deref(), Some("2"));
        assert_eq!(pairs.all("a"), ["1", "2"]);
        assert_eq!(pairs.one("b").as_deref(), Some(""));
        assert_eq!(pairs.one("c d").as_deref(), Some("3"));
        assert_eq!(pairs.one("e").as_deref(), Some("f=g"));
        assert_eq!(pairs.one("x"), None);
        assert_eq!(pairs.names(), ["a", "b", "c d", "", "e"]);
    }
}
