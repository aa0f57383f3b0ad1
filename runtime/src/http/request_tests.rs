use bytes::Bytes;

use super::Request;
use crate::http::Method;

fn request(target: &str, headers: &[(&str, &str)]) -> Request {
    Request::synthetic(Method::GET, target, headers, Bytes::from_static(b"body"))
}

#[test]
fn the_path_is_decoded_and_the_query_is_not() {
    let request = request("/a%20b/%C3%A4%FFc?x=%20&y", &[]);
    assert_eq!(request.path(), "/a b/ä\u{FFFD}c");
    assert_eq!(request.raw_path(), "/a%20b/%C3%A4%FFc");
    assert_eq!(request.query(), "x=%20&y");
    let head = request.to_head();
    assert_eq!((head.path.as_str(), head.query.as_str()), ("/a b/ä\u{FFFD}c", "x=%20&y"));
}

#[test]
fn headers_keep_their_order_and_repetitions() {
    let sent =
        [("host", "h"), ("X-B", "1"), ("Cookie", "a=1"), ("x-a", "2"), ("cookie", "b=2"), ("x-b", "3")];
    let head = request("/", &sent).to_head();
    let got: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected: Vec<_> = sent.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
    assert_eq!(got, expected.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>());
}

#[test]
fn a_header_is_found_by_its_name_in_lower_case() {
    let request = request("/", &[("X-Token", "t"), ("x-token", "u")]);
    assert_eq!(request.header("x-token").unwrap(), "t");
    assert!(request.header("x-other").is_none());
    let mut seen = Vec::new();
    request.for_each_header(|name, value| seen.push((name.to_owned(), value.to_vec())));
    assert_eq!(seen, [("x-token".to_owned(), b"t".to_vec()), ("x-token".to_owned(), b"u".to_vec())]);
}

#[test]
fn a_websocket_is_a_get_that_asks_for_an_upgrade() {
    let upgrade = [("connection", "Upgrade"), ("upgrade", "WebSocket")];
    assert!(request("/", &upgrade).is_websocket());
    assert!(!request("/", &upgrade[1..]).is_websocket());
    assert!(!Request::synthetic(Method::POST, "/", &upgrade, Bytes::new()).is_websocket());
}

#[test]
fn the_body_can_be_taken_as_one_chunk() {
    let mut request = request("/", &[]);
    assert_eq!(request.body(), "body");
    let mut body = request.take_body();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert_eq!(body.chunk().await.unwrap().unwrap(), "body");
        assert!(body.chunk().await.is_none());
    });
}
