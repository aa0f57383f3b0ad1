use super::*;
use crate::edge::head_fixture::{get, shown, Given};

#[test]
fn unencrypted_requests_are_sent_on() {
    for (scheme, host, target, expected) in [
        ("http", "a.example", ("/", ""), "https://a.example/"),
        ("http", "A.example", ("/x", "y=1&z"), "https://A.example/x?y=1&z"),
        ("http", "A.example:80", ("/", ""), "https://a.example/"),
        ("http", "A.example:443", ("/", ""), "https://a.example/"),
        ("http", "A.example:0080", ("/", ""), "https://a.example/"),
        ("http", "A.example:8000", ("/", ""), "https://A.example:8000/"),
        ("http", "[::1]:8000", ("/", ""), "https://[::1]:8000/"),
        ("http", "[::AB]:80", ("/", ""), "https://::ab/"),
        ("http", "A%4A:80", ("/", ""), "https://a%4A/"),
        ("http", "a:70000", ("/", ""), "https://127.0.0.1:8000/"),
        ("http", "not a host", ("/", ""), "https://127.0.0.1:8000/"),
        (
            "http",
            "a",
            ("/\u{20ac}\u{1f600} \"<>^`{|}", ""),
            "https://a/%E2%82%AC%F0%9F%98%80%20%22%3C%3E%5E%60%7B%7C%7D",
        ),
        ("http", "a", ("/?#\\", "a?b#"), "https://a/%3F%23%5C?a?b#"),
        ("http", "a", ("/\u{0}\n\u{7f}", ""), "https://a/%00%7F"),
        ("ws", "a.example:80", ("/chat", ""), "wss://a.example/chat"),
    ] {
        let answer = HttpsRedirect.before(&Given { scheme, target, ..get(&[("host", host)]) }).unwrap();
        let fields = vec!["content-length: 0".to_owned(), format!("location: {expected}")];
        assert_eq!(shown(answer), (307, fields, Vec::new()), "{scheme} {host} {target:?}");
    }
}

#[test]
fn encrypted_requests_pass() {
    for scheme in ["https", "wss"] {
        assert!(HttpsRedirect.before(&Given { scheme, ..get(&[("host", "a")]) }).is_none());
    }
}

#[test]
fn the_address_of_the_server_stands_in_for_a_missing_host() {
    for (server, expected) in [
        (("127.0.0.1", 80), "location: https://127.0.0.1/"),
        (("127.0.0.1", 443), "location: https://127.0.0.1/"),
        (("::1", 8000), "location: https://[::1]:8000/"),
    ] {
        let answer = HttpsRedirect.before(&Given { server: Some(server), ..get(&[]) }).unwrap();
        assert_eq!(shown(answer).1[1], expected);
    }
    let answer = HttpsRedirect.before(&Given { server: None, ..get(&[]) }).unwrap();
    assert_eq!((answer.status.as_u16(), shown(answer).2), (400, b"Invalid host header".to_vec()));
}
