//! Numbers and booleans in text, by Pydantic's lax rules.

/// The integer in `text` as plain digits with a sign: spaces around it, a plus, single underscores between digits and a
/// fraction of zeros are allowed.
pub(crate) fn integer(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    let digits = without_underscores(digits)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(match (negative, significant) {
        (_, "") => "0".to_owned(),
        (true, significant) => format!("-{significant}"),
        (false, significant) => significant.to_owned(),
    })
}

/// The float in `text`: what Rust reads (`1.5`, `.5`, `5.`, `1e3`, `inf`, `nan`), spaces around it and single underscores
/// between digits.
pub(crate) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

/// The boolean in `text`, which may not have spaces around it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["true", "1", "yes", "on", "y", "t"];
    const FALSE: [&str; 6] = ["false", "0", "no", "off", "n", "f"];
    let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(text));
    if is(&TRUE) {
        Some(true)
    } else if is(&FALSE) {
        Some(false)
    } else {
        None
    }
}

fn without_underscores(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !text.contains('_') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    let well_placed = (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(between_digits);
    well_placed.then(|| text.replace('_', "").into())
}

#[cfg(test)]
mod tests {
    use super::{boolean, float, integer};

    #[test]
    fn integers_in_text_follow_pydantic() {
        for (text, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("+5", "5"),
            ("-5", "-5"),
            ("  7", "7"),
            ("1_000", "1000"),
            ("-0", "0"),
            ("00012", "12"),
        ] {
            assert_eq!(integer(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "abc", "1.5", "1__0", "", "0x10", "1e3", "٣", "1.", ".0", "1_", "_1", "1.00_0", "+-1", "--1",
            "+ 1", "1 2", "nan",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn floats_in_text_follow_pydantic() {
        for (text, expected) in [
            ("1", 1.0),
            ("1e5", 1e5),
            ("1_0.5", 10.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("  1.5", 1.5),
            ("+1.5", 1.5),
            ("1_0e1_0", 1e11),
            ("infinity", f64::INFINITY),
        ] {
            assert_eq!(float(text), Some(expected), "{text}");
        }
        for text in ["abc", "", "1e", "0x1p3", "1__0"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn booleans_in_text_follow_pydantic() {
        for text in ["true", "TRUE", "tRue", "yes", "on", "y", "t", "1"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["false", "0", "off", "no", "f", "n"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["maybe", "", "2", "1.0", " true"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }
}
