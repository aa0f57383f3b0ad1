use proptest::prelude::*;

use super::*;
use crate::edge::head_fixture::{get, shown, Given};
use crate::edge::Layer;

const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

fn response(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Body>) -> Response {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    Response::new(StatusCode::from_u16(status).unwrap()).with_headers(headers).with_body(body)
}

fn after(request: &Given, response: Response) -> (u16, Vec<String>, Vec<u8>) {
    let layer = Conditional::default();
    let noted = request.noted_for(&Layer::Conditional(layer));
    shown(layer.after(&noted, response))
}

fn tag(body: &'static str) -> String {
    let fields = after(&get(&[]), response(200, &[], body)).1;
    fields.iter().find_map(|field| field.strip_prefix("etag: ")).unwrap().to_owned()
}

#[test]
fn whole_answers_have_a_tag_of_their_bytes() {
    assert_eq!(tag("text"), tag("text"));
    assert_ne!(tag("text"), tag("other"));
    assert_eq!(tag("text").len(), 34);
    assert!(tag("text").starts_with('"'));
    let weak = Conditional::new(true);
    let noted = get(&[]).noted_for(&Layer::Conditional(weak));
    assert_eq!(shown(weak.after(&noted, response(200, &[], "text"))).1, [format!("etag: W/{}", tag("text"))]);
}

#[test]
fn what_gets_no_tag() {
    let post = Given { method: "POST", ..get(&[]) };
    let nothing = || Body::Stream(Box::pin(Never));
    for (request, response, fields) in [
        (&get(&[]), response(201, &[], "text"), 0),
        (&get(&[]), response(404, &[], "text"), 0),
        (&get(&[]), response(200, &[], ""), 0),
        (&get(&[]), response(200, &[], nothing()), 0),
        (&get(&[]), response(200, &[("cache-control", "private, no-store")], "text"), 1),
        (&get(&[]), response(200, &[("etag", "\"own\"")], "text"), 1),
        (&get(&[]), response(200, &[("content-type", "text/event-stream")], "text"), 1),
        (&post, response(200, &[], "text"), 0),
    ] {
        assert_eq!(after(request, response).1.len(), fields);
    }
}

struct Never;

impl futures_core::Stream for Never {
    type Item = Result<bytes::Bytes, crate::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

#[test]
fn a_client_that_has_it_gets_304() {
    let own = tag("text");
    let listed = format!("\"a\", W/{own} ,\"b\"");
    for (field, status) in [
        (own.clone(), 304),
        (format!("W/{own}"), 304),
        (listed, 304),
        (format!(",, {own}"), 304),
        ("*".to_owned(), 304),
        (" * ".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        ("*, \"other\"".to_owned(), 200),
        (own.trim_matches('"').to_owned(), 200),
        (format!("garbage, {own}"), 200),
        (format!("\"a\" {own}"), 200),
        (own.trim_end_matches('"').to_owned(), 200),
        (format!("w/{own}"), 200),
        ("\"".to_owned(), 200),
        ("".to_owned(), 200),
        ("W/".to_owned(), 200),
    ] {
        let found =
            after(&get(&[("if-none-match", &field)]), response(200, &[("content-type", "x/y")], "text"));
        assert_eq!(found.0, status, "{field:?}");
        assert_eq!(found.2.is_empty(), status == 304);
        let mut fields = vec![format!("etag: {own}")];
        if status == 200 {
            fields.insert(0, "content-type: x/y".to_owned());
        }
        assert_eq!(found.1, fields, "{field:?}");
    }
    let two = get(&[("if-none-match", "\"x\""), ("if-none-match", &own)]);
    assert_eq!(after(&two, response(200, &[], "text")).0, 304, "fields are one list");
    let head = Given { method: "HEAD", ..get(&[("if-none-match", &own)]) };
    assert_eq!(after(&head, response(200, &[], "text")).0, 304);
    let post = Given { method: "POST", ..get(&[("if-none-match", "*")]) };
    assert_eq!(after(&post, response(200, &[], "text")).0, 200);
    let stream = response(200, &[("etag", "\"a\"")], Body::Stream(Box::pin(Never)));
    assert_eq!(after(&get(&[("if-none-match", "\"a\"")]), stream).0, 200, "never for streams");
}

#[test]
fn a_304_has_what_a_copy_is_kept_up_to_date_by() {
    let headers = [
        ("content-type", "text/plain"),
        ("content-length", "4"),
        ("content-language", "de"),
        ("content-location", "/x"),
        ("content-security-policy", "default-src 'self'"),
        ("cache-control", "max-age=5"),
        ("expires", NEW),
        ("last-modified", OLD),
        ("vary", "Cookie"),
        ("set-cookie", "a=1"),
        ("etag", "W/\"own\""),
    ];
    let found = after(&get(&[("if-none-match", "\"own\"")]), response(200, &headers, "text"));
    assert_eq!(found.0, 304);
    assert_eq!(
        found.1,
        [
            "content-location: /x",
            "content-security-policy: default-src 'self'",
            "cache-control: max-age=5",
            &format!("expires: {NEW}"),
            "vary: Cookie",
            "set-cookie: a=1",
            "etag: W/\"own\"",
        ]
    );
}

#[test]
fn dates_count_where_there_are_no_tags() {
    let no_store =
        |modified| response(200, &[("last-modified", modified), ("cache-control", "no-store")], "text");
    for (since, modified, status) in [
        (OLD, OLD, 304),
        (NEW, OLD, 304),
        (OLD, NEW, 200),
        ("Sunday, 06-Nov-94 08:49:37 GMT", OLD, 304),
        ("yesterday", OLD, 200),
        ("", OLD, 200),
        (OLD, "yesterday", 200),
    ] {
        let request = get(&[("if-modified-since", since)]);
        assert_eq!(after(&request, no_store(modified)).0, status, "{since} {modified}");
    }
    let both = get(&[("if-modified-since", NEW), ("if-none-match", "\"x\"")]);
    assert_eq!(after(&both, no_store(OLD)).0, 200);
    let kept = after(&get(&[("if-modified-since", OLD)]), no_store(OLD)).1;
    assert!(kept.contains(&format!("last-modified: {OLD}")), "it is all there is to ask by: {kept:?}");
}

proptest! {
    #[test]
    fn anything_can_be_asked(field in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = names(&field, b"a");
        let _ = date(&field);
    }

    #[test]
    fn tags_are_found_in_any_list(tags in proptest::collection::vec("[!#-~]{0,4}", 1..5), place in any::<prop::sample::Index>()) {
        let list: Vec<String> = tags.iter().map(|tag| format!("W/\"{tag}\"")).collect();
        prop_assert!(names(list.join(" , ").as_bytes(), place.get(&tags).as_bytes()));
        prop_assert!(!names(list.join(",").as_bytes(), b"none of them"));
    }
}
