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

/// Whether `name` is in the list that is the value of the fields `field`, in letters of any case; what follows a `=` aside.
pub(super) fn lists(fields: &[(HeaderName, HeaderValue)], field: &HeaderName, name: &str) -> bool {
    let values = fields.iter().filter(|(found, _)| found == field).map(|(_, value)| value.as_bytes());
    values.flat_map(|value| value.split(|&byte| byte == b',')).any(|member| {
        let found = member.split(|&byte| byte == b'=').next().unwrap_or_default();
        found.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    })
}

/// Adds a header name to `Vary`, unless that has it already.
pub(super) fn vary_on(fields: &mut Fields, name: &str) {
    if !lists(fields, &header::VARY, name) && !lists(fields, &header::VARY, "*") {
        add_vary(fields, name);
    }
}

/// Has the entity tag stand for what means the same and no longer for these very bytes. One that cannot is taken away.
pub(super) fn weaken_etag(fields: &mut Fields) {
    let Some(tag) = first(fields, &header::ETAG) else { return };
    if tag.as_bytes().starts_with(b"W/") {
        return;
    }
    let weak = [b"W/", tag.as_bytes()].concat();
    match HeaderValue::from_bytes(&weak) {
        Ok(weak) if tag.as_bytes().starts_with(b"\"") => set(fields, &header::ETAG, weak),
        _ => remove(fields, &header::ETAG),
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
    fn members_of_lists_are_found() {
        let found = fields(&[("cache-control", "public, max-age=60"), ("cache-control", "No-Transform ,x")]);
        for name in ["public", "max-age", "no-transform", "x"] {
            assert!(lists(&found, &header::CACHE_CONTROL, name), "{name}");
        }
        for name in ["age", "transform", "60", "y"] {
            assert!(!lists(&found, &header::CACHE_CONTROL, name), "{name}");
        }
        assert!(!lists(&found, &header::VARY, "x"));
    }

    #[test]
    fn vary_names_each_header_once() {
        for (there, joined) in [
            (vec![], "Accept-Encoding"),
            (vec![("vary", "Cookie")], "Cookie, Accept-Encoding"),
            (vec![("vary", "accept-encoding, Cookie")], "accept-encoding, Cookie"),
            (vec![("vary", "*")], "*"),
        ] {
            let mut found = fields(&there);
            vary_on(&mut found, "Accept-Encoding");
            assert_eq!(first(&found, &header::VARY).unwrap(), joined);
        }
    }

    #[test]
    fn tags_become_weak() {
        for (tag, weak) in
            [("\"a\"", Some("W/\"a\"")), ("W/\"a\"", Some("W/\"a\"")), ("\"\"", Some("W/\"\"")), ("a", None)]
        {
            let mut found = fields(&[("x", "1"), ("etag", tag)]);
            weaken_etag(&mut found);
            assert_eq!(first(&found, &header::ETAG).map(|tag| tag.to_str().unwrap()), weak);
        }
        let mut found = fields(&[]);
        weaken_etag(&mut found);
        assert!(found.is_empty());
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
