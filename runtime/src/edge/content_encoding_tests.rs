use super::*;
use crate::edge::coding_fixture::{decoded, noise};
use crate::edge::head_fixture::{get, shown, Given};
use crate::edge::Layer;

type Fields = Vec<(&'static str, &'static str)>;

fn usual() -> ContentEncoding {
    ContentEncoding::default()
}

fn response(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Body>) -> Response {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    Response::new(StatusCode::from_u16(status).unwrap()).with_headers(headers).with_body(body)
}

fn noted(layer: &ContentEncoding, request: &Given) -> Noted {
    request.noted_for(&Layer::ContentEncoding(layer.clone()))
}

fn accepting(value: &str) -> Given {
    get(&[("accept-encoding", value)])
}

fn head(value: &str) -> Given {
    Given { method: "HEAD", ..accepting(value) }
}

fn after(layer: &ContentEncoding, request: &Given, response: Response) -> (u16, Vec<String>, Vec<u8>) {
    shown(layer.after(&noted(layer, request), response))
}

fn streams(response: &Response) -> bool {
    matches!(response.body, Body::Stream(_))
}

#[test]
fn a_body_has_the_coding_the_client_wants_most() {
    let text = "some text ".repeat(100);
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
        ("gzip, deflate, br", Some(Coding::Brotli)),
        ("gzip", Some(Coding::Gzip)),
        ("br;q=0.5, gzip", Some(Coding::Gzip)),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=nonsense", None),
    ] {
        let (_, fields, body) =
            after(&usual(), &accepting(accepted), response(200, &[("content-length", "1000")], text.clone()));
        assert!(fields.contains(&"vary: Accept-Encoding".to_owned()), "{accepted}");
        let Some(coding) = coding else {
            assert_eq!((fields.len(), body.len()), (2, 1000), "{accepted}");
            continue;
        };
        assert!(fields.contains(&format!("content-encoding: {}", coding.token())), "{accepted}: {fields:?}");
        assert!(fields.contains(&format!("content-length: {}", body.len())), "{fields:?}");
        assert_eq!(decoded(coding, &body).unwrap(), text.as_bytes());
    }
}

#[test]
fn the_order_of_the_codings_decides_among_equals() {
    let gzip_first = ContentEncoding::new(1, &[(Coding::Gzip, 9), (Coding::Zstd, 1)], &[""; 0]).unwrap();
    for (accepted, coding) in
        [("zstd, gzip", "gzip"), ("zstd, gzip;q=0.9", "zstd"), ("br, zstd;q=0.1", "zstd")]
    {
        let fields = after(&gzip_first, &accepting(accepted), response(200, &[], "text")).1;
        assert!(fields.contains(&format!("content-encoding: {coding}")), "{accepted}: {fields:?}");
    }
    assert!(ContentEncoding::new(1, &[(Coding::Zstd, 99)], &[""; 0]).is_err());
}

#[test]
fn what_is_left_alone() {
    let large = || "x".repeat(1000);
    let cases: Vec<(u16, Fields, String, bool)> = vec![
        (200, vec![], "x".repeat(499), true),
        (200, vec![], "x".repeat(500), false),
        (404, vec![], large(), false),
        (206, vec![], large(), true),
        (200, vec![("content-range", "bytes 0-9/10")], large(), true),
        (416, vec![("content-range", "bytes */10")], large(), true),
        (204, vec![], large(), true),
        (200, vec![("content-encoding", "br")], large(), true),
        (200, vec![("content-encoding", "identity")], large(), true),
        (200, vec![("content-type", "image/png")], large(), true),
        (200, vec![("content-type", "Text/Event-Stream; charset=utf-8")], large(), true),
        (200, vec![("content-type", "image/svg+xml")], large(), false),
        (200, vec![("cache-control", "public, No-Transform")], large(), true),
        (200, vec![("cache-control", "no-store")], large(), false),
        (200, vec![("content-digest", "sha-256=:x:")], large(), true),
    ];
    for (status, headers, body, alone) in cases {
        let fields = after(&usual(), &accepting("br"), response(status, &headers, body)).1;
        let compressed = fields.contains(&"content-encoding: br".to_owned())
            && !headers.contains(&("content-encoding", "br"));
        assert_eq!(compressed, !alone, "{status} {headers:?}");
        assert_eq!(fields.iter().any(|field| field.starts_with("vary")), !alone, "{status} {headers:?}");
    }
}

#[test]
fn who_refuses_identity_gets_small_bodies_compressed_too() {
    for (accepted, coding) in
        [("gzip, identity;q=0", Some("gzip")), ("br, *;q=0", Some("br")), ("deflate, identity;q=0", None)]
    {
        let fields = after(&usual(), &accepting(accepted), response(200, &[], "x")).1;
        let found = fields.iter().find_map(|field| field.strip_prefix("content-encoding: "));
        assert_eq!(found, coding, "{accepted}");
    }
    let nothing = after(&usual(), &accepting("gzip, *;q=0"), response(200, &[], "")).1;
    assert!(nothing.is_empty(), "nothing is not compressed");
}

#[test]
fn a_transformed_body_has_a_weak_tag_and_no_ranges() {
    let headers = [("etag", "\"abc\""), ("accept-ranges", "bytes"), ("vary", "Cookie")];
    let body = || "x".repeat(1000);
    let fields = after(&usual(), &accepting("gzip"), response(200, &headers, body())).1;
    assert!(fields.contains(&"etag: W/\"abc\"".to_owned()), "{fields:?}");
    assert!(fields.contains(&"vary: Cookie, Accept-Encoding".to_owned()), "{fields:?}");
    assert!(!fields.iter().any(|field| field.starts_with("accept-ranges")));
    let fields = after(&usual(), &accepting("identity"), response(200, &headers, body())).1;
    assert!(
        fields.contains(&"etag: \"abc\"".to_owned()) && fields.contains(&"accept-ranges: bytes".to_owned())
    );
    // The 304 of what was compressed names the same tag.
    let fields = after(&usual(), &accepting("gzip"), response(304, &headers[..1], "")).1;
    assert_eq!(fields, ["etag: W/\"abc\"", "vary: Accept-Encoding"]);
    let fields = after(&usual(), &accepting("identity"), response(304, &headers[..1], "")).1;
    assert_eq!(fields, ["etag: \"abc\"", "vary: Accept-Encoding"]);
}

#[test]
fn large_bodies_and_streams_have_no_length() {
    let plain = noise(AT_ONCE + 1);
    let layer = usual();
    for coding in Coding::ALL {
        let request = accepting(coding.token());
        let made = layer
            .after(&noted(&layer, &request), response(200, &[("content-length", "65537")], plain.clone()));
        assert!(streams(&made) && first(&made.headers, &header::CONTENT_LENGTH).is_none(), "{coding:?}");
        let at_once = layer.after_at_once(&noted(&layer, &request), response(200, &[], plain.clone()));
        let (_, fields, body) = shown(at_once);
        assert!(fields.contains(&format!("content-length: {}", body.len())));
        assert_eq!(decoded(coding, &body), Some(plain.clone()), "{coding:?}");
    }
}

#[test]
fn a_stream_that_says_it_is_small_is_left_alone() {
    let layer = usual();
    for (headers, compressed) in
        [(vec![], true), (vec![("content-length", "499")], false), (vec![("content-length", "500")], true)]
    {
        let made = layer.after(
            &noted(&layer, &accepting("gzip")),
            response(200, &headers, Body::Stream(Box::pin(Nothing))),
        );
        assert!(streams(&made));
        assert_eq!(first(&made.headers, &header::CONTENT_ENCODING).is_some(), compressed, "{headers:?}");
        assert_eq!(first(&made.headers, &header::CONTENT_LENGTH).is_some(), !compressed, "{headers:?}");
    }
}

#[test]
fn head_has_the_fields_of_get() {
    let layer = usual();
    let text = "x".repeat(1000);
    let fields = |request: &Given, body: Body, headers: &[(&'static str, &'static str)]| {
        let made = layer.after(&noted(&layer, request), response(200, headers, body));
        let is_stream = streams(&made);
        (shown(made).1, is_stream)
    };
    let whole = fields(&accepting("br"), text.clone().into(), &[]);
    assert_eq!(fields(&head("br"), text.clone().into(), &[]), whole);
    // Without the body its length is not known: the field is left out.
    let bodiless = fields(&head("br"), Body::EMPTY, &[("content-length", "1000"), ("etag", "\"a\"")]);
    assert_eq!(
        bodiless,
        (
            vec![
                "etag: W/\"a\"".to_owned(),
                "vary: Accept-Encoding".to_owned(),
                "content-encoding: br".to_owned()
            ],
            true
        )
    );
    for small in [&[("content-length", "499")][..], &[]] {
        let (found, is_stream) = fields(&head("br"), Body::EMPTY, small);
        assert_eq!((found.len(), is_stream), (small.len(), false));
    }
    let large = fields(&head("br"), Body::from(noise(AT_ONCE + 1)), &[]);
    assert_eq!(large, fields(&accepting("br"), Body::from(noise(AT_ONCE + 1)), &[]));
}

#[test]
fn parts_are_encoded_after_their_head() {
    let layer = usual();
    for coding in Coding::ALL {
        let made = noted(&layer, &accepting(coding.token()));
        let mut headers = Default::default();
        let mut encoder = layer.after_head(&made, StatusCode::OK, &mut headers).unwrap();
        let mut sent = encoder.flushed(b"one");
        sent.extend(encoder.finished(b"two"));
        assert_eq!(decoded(coding, &sent).unwrap(), b"onetwo");
        assert_eq!(first(&headers, &header::CONTENT_ENCODING).unwrap(), coding.token());
    }
    let mut headers = Default::default();
    assert!(layer.after_head(&noted(&layer, &accepting("x")), StatusCode::OK, &mut headers).is_none());
    assert_eq!(first(&headers, &header::VARY).unwrap(), "Accept-Encoding");
}
