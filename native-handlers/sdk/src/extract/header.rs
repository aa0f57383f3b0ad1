//! Header fields.

use std::borrow::Cow;
use std::collections::HashSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::fields::{extract, extract_optional, Fields};
use super::{FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// Header fields: one, or a struct with a field for each.
///
/// As in FastAPI `_` in a name stands for `-`, so that `x_token` reads `X-Token`. The first of several values counts, a
/// `Vec` gets all of them, and an `Option` or a field with `#[serde(default)]` need not be there:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Trace {
///     #[schemars(length(min = 8))]
///     x_request_id: String,
///     #[serde(default)]
///     x_hop: Vec<i64>,
/// }
///
/// #[native_handler]
/// fn trace(Header(trace): Header<Trace>, Header(user_agent): Header<Option<String>>) -> String {
///     format!("{} {:?} {user_agent:?}", trace.x_request_id, trace.x_hop)
/// }
/// ```
///
/// `Option<Header<T>>` is `None` where the request has none of them. [`RequestParts`](crate::RequestParts) gives fields
/// whose names are known at run time only.
#[derive(Clone, Copy, Debug)]
pub struct Header<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Header<T> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.header::<T>(argument, false)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        extract(&HeaderFields(request), slot, Source::Header).map(Header)
    }
}

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Option<Header<T>> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.header::<T>(argument, true)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(extract_optional(&HeaderFields(request), slot, Source::Header)?.map(Header))
    }
}

/// What the header is called that the parameter `name` reads.
pub(crate) fn header_name(name: &str) -> Cow<'_, str> {
    if name.contains('_') {
        name.replace('_', "-").into()
    } else {
        name.into()
    }
}

struct HeaderFields<'r>(Request<'r>);

impl Fields for HeaderFields<'_> {
    fn one(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.header(&header_name(name)).map(latin1)
    }

    fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        let wanted = header_name(name).to_ascii_lowercase();
        let values = self.0.headers().into_iter().filter(|(name, _)| *name == wanted);
        values.map(|(_, value)| latin1(&value).into_owned().into()).collect()
    }

    fn names(&self) -> Vec<Cow<'_, str>> {
        let mut seen = HashSet::new();
        let names = self.0.headers().into_iter().map(|(name, _)| name);
        names.filter(|name| seen.insert(name.clone())).map(Cow::Owned).collect()
    }

    fn shown(&self, name: &str) -> String {
        header_name(name).into_owned()
    }

    fn is(&self, name: &str, sent: &str) -> bool {
        header_name(name).eq_ignore_ascii_case(sent) || name.eq_ignore_ascii_case(sent)
    }
}

/// The text of a field as Starlette reads it: each byte is the character of its number.
pub(super) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => text.into(),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{header_name, latin1};

    #[test]
    fn underscores_are_dashes() {
        assert_eq!((&*header_name("x_api_key"), &*header_name("host")), ("x-api-key", "host"));
    }

    #[test]
    fn bytes_are_characters() {
        assert_eq!(
            (&*latin1(b"plain"), &*latin1(b"caf\xe9"), &*latin1("é".as_bytes())),
            ("plain", "café", "Ã©")
        );
    }
}
