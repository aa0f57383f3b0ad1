//! Lines of Prometheus' text format.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The two lines before a metric's samples.
pub fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    if !help.is_empty() {
        let _ = writeln!(text, "# HELP {name} {}", escape(help, false));
    }
    let _ = writeln!(text, "# TYPE {name} {kind}");
}

/// One line. `labels` is what stands between the braces.
pub fn sample(text: &mut String, name: &str, labels: &str, value: &str) {
    let _ = if labels.is_empty() {
        writeln!(text, "{name} {value}")
    } else {
        writeln!(text, "{name}{{{labels}}} {value}")
    };
}

/// A metric with one sample and no labels.
pub fn single(text: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(text, name, kind, help);
    sample(text, name, "", &number(value));
}

/// A value.
pub fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// What [`escape`] was given.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut escaped) = (String::with_capacity(text.len()), false);
    for character in text.chars() {
        match (escaped, character) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, 'n') => plain.push('\n'),
            (_, character) => plain.push(character),
        }
        escaped = false;
    }
    Cow::Owned(plain)
}

/// What a help text, or with `quotes` a label's value, is written as.
pub fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes {
        text.replace('"', "\\\"")
    } else {
        text
    }
}
