//! The few kinds of JSON values that answers of the server itself hold.

use std::fmt::Write as _;

/// To six places; JSON knows no infinity.
pub(super) fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.is_finite() {
        rounded.to_string()
    } else {
        "null".to_owned()
    }
}

/// With its quotes. Harmless within HTML, too.
pub(super) fn string(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            character if character.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            character => text.push(character),
        }
    }
    text.push('"');
    text
}

/// An object of values that are JSON already.
pub(super) fn object<K: AsRef<str>>(members: impl IntoIterator<Item = (K, String)>) -> String {
    let members: Vec<_> =
        members.into_iter().map(|(name, value)| format!("{}:{value}", string(name.as_ref()))).collect();
    format!("{{{}}}", members.join(","))
}

/// An array of values that are JSON already.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::{array, number, object, string};

    #[test]
    fn whatever_a_route_is_called_stays_within_its_quotes() {
        assert_eq!(string("/a/{b}"), r#""/a/{b}""#);
        assert_eq!(
            string("\"\\\n\u{1}</script>&\u{2028}é"),
            r#""\"\\\u000a\u0001\u003c/script\u003e\u0026\u2028é""#
        );
    }

    #[test]
    fn objects_and_arrays() {
        assert_eq!(
            object([("a", number(1.5)), ("b\"", array([number(f64::NAN)]))]),
            r#"{"a":1.5,"b\"":[null]}"#
        );
    }
}
