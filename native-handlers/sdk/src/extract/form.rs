//! Form bodies.

use std::borrow::Cow;
use std::collections::HashSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::fields::{explain, extract, extract_optional, Fields};
use super::rejection::Kind;
use super::{multipart, FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::validate::Value;
use crate::{HttpError, Request};

// As Starlette limits forms.
pub(super) const MAX_FIELDS: usize = 1000;
pub(super) const MAX_FIELD_SIZE: usize = 1024 * 1024;
pub(super) const TOO_MANY_FIELDS: &str = "Too many fields. Maximum number of fields is 1000.";
pub(super) const TOO_LARGE_A_PART: &str = "Part exceeded maximum size of 1024KB.";

/// The body of a form, `application/x-www-form-urlencoded` or `multipart/form-data`: a struct with a field for each, or one
/// field.
///
/// As in FastAPI an empty value counts as none, the last of several values counts, a `Vec` gets all of them, an `Option` or a
/// field with `#[serde(default)]` need not be there, and a body of another content type is an empty form:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Login {
///     #[schemars(length(min = 3, max = 20))]
///     username: String,
///     password: String,
///     #[serde(default)]
///     remember: bool,
/// }
///
/// #[native_handler]
/// fn login(Form(login): Form<Login>) -> String {
///     format!("{} {} {}", login.username, login.password.len(), login.remember)
/// }
///
/// #[native_handler]
/// fn vote(Form(choice): Form<i64>, Form(comment): Form<Option<String>>) -> String {
///     format!("{choice} {comment:?}")
/// }
/// ```
///
/// `Option<Form<T>>` is `None` where the form has none of the fields. Fields are texts: a file that is sent under the name of one
/// is answered with 422, so a route that takes files stays in Python.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Form<T> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.form_body::<T>(argument, false)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        extract(&FormFields::of(request, slot)?, slot, Source::Body).map(Form)
    }
}

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Option<Form<T>> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.form_body::<T>(argument, true)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        let form = FormFields::of(request, slot)?;
        // Whether a struct is there is told by the names, whether a value is by the value.
        if slot.is_model && form.names().iter().any(|name| slot.names.iter().any(|known| known == name)) {
            return extract(&form, slot, Source::Body).map(|value| Some(Form(value)));
        }
        Ok(extract_optional(&form, slot, Source::Body)?.map(Form))
    }
}

/// A name, and what was sent under it.
pub(super) type Entry = (String, Sent);

/// The value of a form's field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Text(String),
    /// A file of this name.
    File(String),
}

struct FormFields<'r> {
    entries: Vec<Entry>,
    /// Fields that take every value, the empty ones too.
    lists: &'r [String],
}

impl<'r> FormFields<'r> {
    fn of(request: Request<'r>, slot: &'r Slot) -> Result<FormFields<'r>, Rejection> {
        let content_type = request.header("content-type").unwrap_or_default();
        let parsed = match &*media_type(content_type) {
            b"application/x-www-form-urlencoded" => parse(request.body()),
            b"multipart/form-data" => {
                multipart::parse(&String::from_utf8_lossy(content_type), request.body())
            }
            _ => Ok(Vec::new()),
        };
        let form = match parsed {
            Ok(entries) => FormFields { entries, lists: &slot.lists },
            Err(detail) => return Err(Rejection::new(Kind::Error(HttpError::new(400, detail)))),
        };
        // No type that a handler can ask for is read from a file.
        if slot.names.iter().any(|name| form.file(name).is_some()) {
            return Err(Rejection::invalid(Source::Body, explain(&form, slot, Source::Body)));
        }
        Ok(form)
    }

    fn is_list(&self, name: &str) -> bool {
        self.lists.iter().any(|list| list == name)
    }

    fn values<'a, 'n>(&'a self, name: &'n str) -> impl DoubleEndedIterator<Item = &'a Sent> + use<'a, 'n> {
        self.entries.iter().filter(move |(key, _)| key == name).map(|(_, sent)| sent)
    }

    /// The name of the file that is among the values of `name` that count.
    fn file(&self, name: &str) -> Option<&str> {
        let counting = if self.is_list(name) { usize::MAX } else { 1 };
        self.values(name).rev().take(counting).find_map(|sent| match sent {
            Sent::File(name) => Some(&**name),
            Sent::Text(_) => None,
        })
    }
}

impl Fields for FormFields<'_> {
    fn one(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.values(name).next_back()? {
            Sent::Text(text) if !text.is_empty() || self.is_list(name) => Some(text.into()),
            _ => None,
        }
    }

    fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.values(name)
            .filter_map(|sent| match sent {
                Sent::Text(text) => Some(text.into()),
                Sent::File(_) => None,
            })
            .collect()
    }

    fn names(&self) -> Vec<Cow<'_, str>> {
        let mut seen = HashSet::new();
        self.entries.iter().map(|(name, _)| name).filter(|name| seen.insert(*name)).map(Cow::from).collect()
    }

    fn other(&self, name: &str) -> Option<Value> {
        let file = Value::Object(vec![("filename".to_owned(), Value::Str(self.file(name)?.to_owned()))]);
        Some(if self.is_list(name) { Value::Array(vec![file]) } else { file })
    }
}

fn media_type(content_type: &[u8]) -> Vec<u8> {
    content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
}

/// The fields of a form, or why Starlette refuses it.
fn parse(body: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries = Vec::new();
    for field in body.split(|b| *b == b'&').filter(|field| !field.is_empty()) {
        let split = field.iter().position(|b| *b == b'=').unwrap_or(field.len());
        let (name, value) = (&field[..split], field.get(split + 1..).unwrap_or_default());
        if name.len() + value.len() > MAX_FIELD_SIZE {
            return Err("Field exceeded maximum size of 1024KB.");
        }
        if entries.len() == MAX_FIELDS {
            return Err(TOO_MANY_FIELDS);
        }
        entries.push((decode(name), Sent::Text(decode(value))));
    }
    Ok(entries)
}

/// Form encoding resolved as Starlette does it: `+` is a space, percent escapes are UTF-8, and bytes beyond ASCII, which a
/// form should not have, are characters of Latin-1.
fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for run in bytes.chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
        match std::str::from_utf8(run) {
            Ok(run) if run.is_ascii() => text.push_str(&super::query::decode(run)),
            _ => text.extend(run.iter().map(|byte| char::from(*byte))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{parse, Fields, FormFields, MAX_FIELDS};

    #[test]
    fn forms_are_read_as_by_starlette() {
        let entries = parse("a=1&&b&c=x+y%20%C3%A9&a=&=z&d=e=f&g=é".as_bytes()).unwrap();
        let lists = ["a".to_owned()];
        let form = FormFields { entries, lists: &lists };
        assert_eq!(form.all("a"), ["1", ""]);
        assert_eq!(form.one("a").as_deref(), Some(""));
        assert_eq!(form.one("b"), None);
        assert_eq!(form.one("c").as_deref(), Some("x y é"));
        assert_eq!(form.one("d").as_deref(), Some("e=f"));
        assert_eq!(form.one("g").as_deref(), Some("Ã©"));
        assert_eq!(form.names(), ["a", "b", "c", "", "d", "g"]);
    }

    #[test]
    fn forms_have_limits() {
        assert_eq!(parse("a=1&".repeat(MAX_FIELDS).as_bytes()).unwrap().len(), MAX_FIELDS);
        assert!(parse("a=1&".repeat(MAX_FIELDS + 1).as_bytes()).unwrap_err().starts_with("Too many fields"));
        assert!(parse(&[b'x'; 1024 * 1024 + 1]).unwrap_err().starts_with("Field exceeded"));
    }
}
