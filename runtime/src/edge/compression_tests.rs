use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::edge::head_fixture::{get, shown};
use crate::http::HeaderName;

fn response(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Body>) -> Response {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    Response::new(StatusCode::from_u16(status).unwrap()).with_headers(headers).with_body(body)
}

fn accepting(value: &'static str) -> Noted {
    get(&[("accept-encoding", value)]).noted()
}

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn gzip_anywhere_in_the_first_header_is_taken_as_accepted() {
    for (accepted, compressed) in [
        ("gzip", true),
        ("deflate, gzip;q=1.0, *;q=0.5", true),
        ("gzip;q=0", true),
        ("x-gzip", true),
        ("GZIP", false),
        ("*", false),
        ("identity", false),
        ("", false),
    ] {
        let text = "x".repeat(500);
        let found =
            shown(Compression::default().after(&accepting(accepted), response(200, &[], text.clone())));
        assert!(found.1.contains(&"vary: Accept-Encoding".to_owned()), "{accepted}");
        assert_eq!(found.1.contains(&"content-encoding: gzip".to_owned()), compressed, "{accepted}");
        assert_eq!(if compressed { unzipped(&found.2) } else { found.2 }, text.as_bytes(), "{accepted}");
    }
    let second = get(&[("accept-encoding", "br"), ("accept-encoding", "gzip")]).noted();
    assert!(!second.accepts_gzip && !get(&[]).noted().accepts_gzip);
}

#[test]
fn what_is_left_alone() {
    let large = || "x".repeat(1000);
    for (status, headers, body, alone) in [
        (200, &[][..], "x".repeat(499), true),
        (200, &[], "x".repeat(500), false),
        (404, &[], large(), false),
        (206, &[], large(), true),
        (200, &[("content-encoding", "br")], large(), true),
        (200, &[("content-encoding", "")], large(), true),
        (200, &[("content-type", "text/event-stream")], large(), true),
        (200, &[("content-type", " Text/Event-Stream ; charset=utf-8")], large(), true),
        (200, &[("content-type", "text/event-stream2")], large(), false),
        (200, &[("content-type", "audio/mpeg")], large(), true),
        (200, &[("content-type", "audio")], large(), true),
        (200, &[("content-type", "audio/")], large(), true),
        (200, &[("content-type", "audiox/a")], large(), false),
        (200, &[("content-type", "image/png")], large(), true),
        (200, &[("content-type", "image/svg+xml")], large(), false),
        (200, &[("content-type", "application/grpc+proto")], large(), true),
        (200, &[("content-type", "application/grpc-web")], large(), false),
        (200, &[("content-type", "text/plain"), ("content-type", "image/png")], large(), false),
        (200, &[("content-type", "")], large(), false),
        (200, &[("content-type", ";image/png")], large(), false),
    ] {
        for accepted in ["gzip", "identity"] {
            let length = body.len();
            let found =
                Compression::default().after(&accepting(accepted), response(status, headers, body.clone()));
            let touched = shown(found).1.iter().any(|field| field.starts_with("vary"));
            assert_eq!(touched, !alone, "{status} {headers:?} {length} {accepted}");
        }
    }
}

#[test]
fn excluded_types_are_read_without_case_and_parameters() {
    let own = Compression::new(0, 9, &["Text/HTML; charset=utf-8", " application/* "]);
    for (kind, excluded) in
        [("text/html", true), ("application/json", true), ("application", true), ("image/png", false)]
    {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
        assert_eq!(own.passes(StatusCode::OK, &headers), excluded, "{kind}");
    }
    // A star in another place stands for itself.
    let odd = Compression::new(0, 9, &["*", "*/*"]);
    assert!(!odd.passes(StatusCode::OK, &[(header::CONTENT_TYPE, HeaderValue::from_static("text/html"))]));
}

#[test]
fn the_length_is_that_of_what_is_sent() {
    let headers = &[("content-length", "1000"), ("x", "1"), ("vary", "Cookie")];
    let found =
        shown(Compression::default().after(&accepting("gzip"), response(200, headers, "x".repeat(1000))));
    let length = format!("content-length: {}", found.2.len());
    assert_eq!(found.1, [&length, "x: 1", "vary: Cookie, Accept-Encoding", "content-encoding: gzip"]);
    let found =
        shown(Compression::default().after(&accepting("br"), response(200, headers, "x".repeat(1000))));
    assert_eq!(found.1, ["content-length: 1000", "x: 1", "vary: Cookie, Accept-Encoding"]);
}

#[test]
fn a_minimum_of_nothing_compresses_empty_bodies() {
    let all = Compression::new(0, 9, &EXCLUDED_CONTENT_TYPES);
    let found = shown(all.after(&accepting("gzip"), response(200, &[], Body::EMPTY)));
    assert!(found.2.len() > 10 && unzipped(&found.2).is_empty());
    let found =
        shown(all.after(&accepting("gzip"), response(200, &[("content-type", "image/png")], Body::EMPTY)));
    assert_eq!(found.1, ["content-type: image/png"]);
}

#[test]
fn streams_and_large_bodies_lose_their_length() {
    let large = "x".repeat(AT_ONCE + 1);
    let headers = &[("content-length", "70000")];
    let found = Compression::default().after(&accepting("gzip"), response(200, headers, large.clone()));
    assert!(matches!(found.body, Body::Stream(_)));
    assert_eq!(shown(found).1, ["vary: Accept-Encoding", "content-encoding: gzip"]);
    let found =
        Compression::default().after_at_once(&accepting("gzip"), response(200, headers, large.clone()));
    assert_eq!(unzipped(&shown(found).2), large.as_bytes());
    let found = Compression::default().after(&accepting("br"), response(200, headers, large.clone()));
    assert_eq!(shown(found).2, large.as_bytes());

    for (kind, accepted, encoded) in
        [("text/plain", "gzip", true), ("text/plain", "br", false), ("video/mp4", "gzip", false)]
    {
        let mut fields = Fields::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CONTENT_LENGTH, HeaderValue::from_static("5")),
        ]);
        let gzip = Compression::default().after_head(&accepting(accepted), StatusCode::OK, &mut fields);
        assert_eq!(gzip.is_some(), encoded, "{kind} {accepted}");
        assert_eq!(first(&fields, &header::CONTENT_LENGTH).is_none(), encoded, "{kind} {accepted}");
        assert_eq!(first(&fields, &header::VARY).is_some(), kind == "text/plain", "{kind} {accepted}");
    }
}
