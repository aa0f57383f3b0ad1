//! JSON bodies.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::rejection::Kind;
use super::{FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::validate::{json, Item, JsonError, Step, Value};
use crate::{HttpError, Request};

/// JSON: as an argument the request's body, as a return value the response's.
///
/// As in FastAPI the body is read as JSON when the content type is `application/json` or ends in `+json`, and values are
/// converted where Pydantic converts them (`"7"` to the integer 7).
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize, Serialize, JsonSchema)]
/// struct Item {
///     name: String,
///     price: f64,
/// }
///
/// #[native_handler]
/// fn create_item(Json(item): Json<Item>) -> Json<Item> {
///     Json(item)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Json<T> {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.json_body::<T>(true)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        let body = request.body();
        if body.is_empty() {
            let missing = Item::missing(&[Step::from("body")], &Value::Null);
            return Err(Rejection::invalid(Source::Body, vec![missing]));
        }
        if !is_json(request.lower_header("content-type")) {
            return convert(&Value::Str(String::from_utf8_lossy(body).into_owned()), slot);
        }
        match sonic_rs::from_slice(body) {
            Ok(value) if !slot.constrained => Ok(Json(value)),
            _ => match json::parse(body) {
                Ok(value) => convert(&value, slot),
                Err(error) => Err(not_json(error)),
            },
        }
    }
}

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Option<Json<T>> {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.json_body::<T>(false)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        if matches!(request.body().trim_ascii(), b"" | b"null") {
            return Ok(None);
        }
        Json::from_request(request, slot).map(Some)
    }
}

/// The value converted as Pydantic would, and deserialized again.
fn convert<T: DeserializeOwned>(value: &Value, slot: &Slot) -> Result<Json<T>, Rejection> {
    let mut items = Vec::new();
    let loc = vec![Step::from("body")];
    let converted = slot.check(value, &slot.schema, loc.clone(), &mut items);
    if items.is_empty() {
        // Text like `"inf"` is a number for Pydantic, but JSON, through which a converted value goes, cannot write it.
        find_infinite(&converted, &mut loc.clone(), &mut items);
    }
    if items.is_empty() {
        match sonic_rs::from_str(&converted.to_string()) {
            Ok(value) => return Ok(Json(value)),
            Err(error) => {
                // The first line is the reason, the others show the place in a text the client never sent.
                let text = error.to_string();
                let reason = text.lines().next().unwrap_or_default();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                items.push(Item::refused(&loc, reason, value));
            }
        }
    }
    Err(Rejection::invalid(Source::Body, items))
}

fn find_infinite(value: &Value, loc: &mut Vec<Step>, items: &mut Vec<Item>) {
    match value {
        Value::Float(number) if !number.is_finite() => {
            let input = Value::Str(number.to_string());
            items.push(Item::new("finite_number", loc, "Input should be a finite number", &input));
        }
        Value::Array(list) => {
            for (index, part) in list.iter().enumerate() {
                loc.push(Step::Index(index));
                find_infinite(part, loc, items);
                loc.pop();
            }
        }
        Value::Object(fields) => {
            for (name, part) in fields {
                loc.push(Step::Name(name.clone()));
                find_infinite(part, loc, items);
                loc.pop();
            }
        }
        _ => {}
    }
}

fn not_json(error: JsonError) -> Rejection {
    match error {
        JsonError::Decode { msg, pos } => {
            let loc = [Step::from("body"), Step::Index(pos)];
            let item = Item::new("json_invalid", &loc, "JSON decode error", &Value::Object(Vec::new()));
            Rejection::new(Kind::Alone(Box::new(item.with_ctx("error", Value::Str(msg.to_owned())))))
        }
        JsonError::Unreadable => {
            Rejection::new(Kind::Error(HttpError::new(400, "There was an error parsing the body")))
        }
    }
}

/// Whether FastAPI reads a body of this content type as JSON.
fn is_json(content_type: Option<&[u8]>) -> bool {
    let Some(value) = content_type else { return false };
    if value == b"application/json" {
        return true;
    }
    let media_type = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        return true;
    }
    let media_type = media_type.to_ascii_lowercase();
    let Some(subtype) = media_type.strip_prefix(b"application/") else { return false };
    !subtype.contains(&b'/') && subtype.ends_with(b"+json")
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn content_types_follow_fastapi() {
        for yes in [
            "application/json",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            "application/problem+JSON",
        ] {
            assert!(is_json(Some(yes.as_bytes())), "{yes}");
        }
        for no in ["text/plain", "json", "application/jsonp", "text/json", "application/x/y+json", ""] {
            assert!(!is_json(Some(no.as_bytes())), "{no}");
        }
        assert!(!is_json(None));
    }
}
