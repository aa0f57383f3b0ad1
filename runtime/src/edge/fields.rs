//! Header fields edited in place, as Starlette's `MutableHeaders` does it.

pub(crate) use crate::http::HeaderFields as Fields;
use crate::http::{header, HeaderName, HeaderValue};

/// The first value of `name`.
pub(super) fn first<'a>(
    fields: &'a [(HeaderName, HeaderValue)],
    name: &HeaderName,
) -> Option<&'a HeaderValue> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
}

/// Gives `name` this one value: where its first one stood, else at the end.
pub(crate) fn set(fields: &mut Fields, name: &HeaderName, value: HeaderValue) {
    let Some(place) = fields.iter().position(|(field, _)| field == name) else {
        fields.push((name.clone(), value));
        return;
    };
    fields[place].1 = value;
    let mut index = 0;
    fields.retain(|(field, _)| {
        index += 1;
        index <= place + 1 || field != name
    });
}

/// Takes every field of `name` away.
pub(super) fn remove(fields: &mut Fields, name: &HeaderName) {
    fields.retain(|(field, _)| field != name);
}

/// Adds a header name to `Vary`, which becomes one field.
pub(super) fn add_vary(fields: &mut Fields, name: &str) {
    let mut joined: Vec<u8> = Vec::new();
    for (_, value) in fields.iter().filter(|(field, _)| field == header::VARY) {
        joined.extend_from_slice(value.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(name.as_bytes());
    // Valid values joined by ", " are a valid value.
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        set(fields, &header::VARY, value);
    }
}

/// `value` without the white space Python's `str.strip` takes off text decoded as Latin-1.
pub(crate) fn strip(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | 0x1c..=b' ' | 0x85 | 0xa0);
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> Fields {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn setting_a_field_keeps_its_place_and_drops_its_twins() {
        let mut found = fields(&[("a", "1"), ("vary", "x"), ("b", "2"), ("vary", "y"), ("a", "3")]);
        set(&mut found, &header::VARY, HeaderValue::from_static("z"));
        assert_eq!(found, fields(&[("a", "1"), ("vary", "z"), ("b", "2"), ("a", "3")]));
        set(&mut found, &HeaderName::from_static("c"), HeaderValue::from_static("4"));
        assert_eq!(found.last(), fields(&[("c", "4")]).last());
    }

    #[test]
    fn vary_joins_what_is_there() {
        for (there, joined) in [
            (vec![], "Origin"),
            (vec![("vary", "Cookie")], "Cookie, Origin"),
            (vec![("vary", "Cookie"), ("x", "1"), ("vary", "Accept")], "Cookie, Accept, Origin"),
            (vec![("vary", "Origin")], "Origin, Origin"),
            (vec![("vary", "")], ", Origin"),
            (vec![("vary", "*")], "*, Origin"),
        ] {
            let mut found = fields(&there);
            add_vary(&mut found, "Origin");
            assert_eq!(first(&found, &header::VARY).unwrap(), joined);
            assert_eq!(found.iter().filter(|(name, _)| name == header::VARY).count(), 1);
        }
    }

    #[test]
    fn strips_what_python_strips() {
        for (value, stripped) in [
            (&b" \t a b \x0b\x0c\x1c\x1f\x85\xa0"[..], &b"a b"[..]),
            (b"", b""),
            (b" \t", b""),
            (b"\xa0x\xff", b"x\xff"),
        ] {
            assert_eq!(strip(value), stripped);
        }
    }
}
