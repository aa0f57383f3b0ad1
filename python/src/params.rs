//! Reading a compiled route's parameters from a request, in Rust, on the I/O worker.
//!
//! Only forms whose meaning is beyond doubt are read here. Anything else, valid or not, is for Pydantic and FastAPI to
//! judge: the operation then reads them with FastAPI's own functions.

use std::borrow::Cow;

use bimetal_runtime::Request;

use crate::plan::{Kind, ParamSpec, Source};

/// A parameter's value.
pub(crate) enum Value {
    Str(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// For the plan's validator.
    Text(String),
    /// Not in the request: the default.
    Missing,
}

/// The values of a step's parameters, in the plan's order; `None` when the request does not fit.
pub(crate) fn read(params: &[ParamSpec], request: &Request) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(params.len());
    for param in params {
        let text = match &param.source {
            Source::Path(index) => Some(Cow::Borrowed(request.param(*index)?)),
            Source::Query(name) => query_parameter(request.query(), name)?,
            Source::Header(name) => match request.header(name) {
                // Starlette reads what is not ASCII as Latin-1.
                Some(value) => Some(Cow::Borrowed(value.to_str().ok()?)),
                None => None,
            },
            Source::Cookie(name) => cookie(request, name)?,
        };
        match text {
            Some(text) => values.push(convert(param.kind, &text)?),
            None if param.required => return None,
            None => values.push(Value::Missing),
        }
    }
    Some(values)
}

/// The last value of `name` in a query, decoded as a form is. `None` where that is for Python to decide.
fn query_parameter<'a>(query: &'a str, name: &str) -> Option<Option<Cow<'a, str>>> {
    // Starlette reads a query that is not ASCII as Latin-1 first.
    if !query.is_ascii() {
        return None;
    }
    match last(query, name) {
        // Decoding put a replacement character there, or the client sent one.
        Some(text) if text.contains('\u{fffd}') => None,
        value => Some(value),
    }
}

fn last<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    if query.is_empty() {
        return None;
    }
    form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last().map(|(_, value)| value)
}

/// The last cookie of `name`, over all `cookie` fields. `None` where that is for Python to decide.
fn cookie(request: &Request, name: &str) -> Option<Option<Cow<'static, str>>> {
    let (mut found, mut plain) = (None, true);
    request.for_each_header(|field, value| {
        if field == "cookie" {
            match std::str::from_utf8(value) {
                Ok(text) if is_plain_cookie(text) => found = last_cookie(text, name).or(found.take()),
                _ => plain = false,
            }
        }
    });
    plain.then(|| found.map(Cow::Owned))
}

/// Whether no value of a `cookie` field can be quoted, which Python's `http.cookies` undoes in its own way.
fn is_plain_cookie(field: &str) -> bool {
    field.is_ascii() && !field.contains(['"', '\\'])
}

fn last_cookie(field: &str, name: &str) -> Option<String> {
    let pairs = field.split(';').map(|chunk| chunk.split_once('=').unwrap_or(("", chunk)));
    let mut matching = pairs
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| *key == name && !(key.is_empty() && value.is_empty()));
    matching.next_back().map(|(_, value)| value.to_owned())
}

fn convert(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Str => Some(Value::Str(text.to_owned())),
        Kind::Validator => Some(Value::Text(text.to_owned())),
        Kind::Int => integer(text).map(Value::Int),
        Kind::Float => float(text).map(Value::Float),
        Kind::Bool => match text {
            "true" | "True" | "1" => Some(Value::Bool(true)),
            "false" | "False" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
    }
}

/// Digits without a leading zero, a minus before them at most, and few enough for 64 bits.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 18
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" && text.len() == 1 || !digits.starts_with('0'));
    if plain {
        text.parse().ok()
    } else {
        None
    }
}

/// Digits, with a point between digits at most, and a minus before them at most.
fn float(text: &str) -> Option<f64> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if number.len() <= 40 && digits(whole) && digits(fraction) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{float, integer, last, last_cookie};

    #[test]
    fn integers_of_doubtful_form_are_left_to_pydantic() {
        assert_eq!(integer("0"), Some(0));
        assert_eq!(integer("-17"), Some(-17));
        assert_eq!(integer("999999999999999999"), Some(999_999_999_999_999_999));
        for text in
            ["", "-", "-0", "+1", "007", " 1", "1_000", "1.0", "1e3", "9223372036854775808", "\u{663}"]
        {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_of_doubtful_form_are_left_to_pydantic() {
        assert_eq!(float("1"), Some(1.0));
        assert_eq!(float("-0.1"), Some(-0.1));
        for text in ["", ".5", "5.", "1e5", "inf", "nan", "+1", " 1", "1_0.0", "1.2.3"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_last_value_of_a_query_parameter_counts() {
        assert_eq!(last("a=1&b=2&a=3", "a").as_deref(), Some("3"));
        assert_eq!(last("a=x+y%20z", "a").as_deref(), Some("x y z"));
        assert_eq!(last("a", "a").as_deref(), Some(""));
        assert_eq!(last("b=1", "a"), None);
    }
    #[test]
    fn the_last_cookie_of_a_name_counts() {
        assert_eq!(last_cookie("a=1; b=2; a=3", "a").as_deref(), Some("3"));
        assert_eq!(last_cookie("a = 1 ;b=", "b").as_deref(), Some(""));
        assert_eq!(last_cookie("a=1=2", "a").as_deref(), Some("1=2"));
        assert_eq!(last_cookie("A=1; lonely", "a"), None);
    }
}
