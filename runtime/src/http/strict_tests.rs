use super::{is_host, HeadLimits};
use crate::http::Refusal;

const LIMITS: HeadLimits = HeadLimits { size: 200, line: 50, fields: 3 };

#[test]
fn a_head_ends_at_its_blank_line() {
    for head in [
        "GET / HTTP/1.1\r\nhost: t\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n",
        "GET http://t/a HTTP/1.1\r\nHost:\r\n\r\n",
        "CONNECT t:443 HTTP/1.1\r\nhost: t:443\r\nheader: /\r\n\r\n",
    ] {
        let wire = format!("{head}\nrest");
        assert_eq!(LIMITS.end_of_head(wire.as_bytes()), Ok(Some(head.len())), "{head:?}");
        for length in 0..head.len() {
            assert_eq!(LIMITS.end_of_head(&wire.as_bytes()[..length]), Ok(None), "{head:?} {length}");
        }
    }
}

#[test]
fn malformed_heads_are_refused() {
    let cases = [
        ("GET / HTTP/1.1\nhost: t\r\n\r\n", Refusal::LineEnd),
        ("GET / HTTP/1.1\r\nhost: t\n\r\n", Refusal::LineEnd),
        ("GET / HTTP/1.1\r\nhost: t\r\n\n", Refusal::LineEnd),
        ("\nGET / HTTP/1.1\r\nhost: t\r\n\r\n", Refusal::LineEnd),
        ("GET\r\n\r\n", Refusal::RequestLine),
        ("GET t\r\n\r\n", Refusal::RequestLine),
        ("\x16\x03\x01", Refusal::RequestLine),
        (" GET", Refusal::RequestLine),
        ("GET t HTTP/1.1\r\n\r\n", Refusal::Target),
        ("GET t:80 HTTP/1.1\r\n\r\n", Refusal::Target),
        ("GET * HTTP/1.1\r\n\r\n", Refusal::Target),
        ("GET http:/// HTTP/1.1\r\n\r\n", Refusal::Target),
        ("GET  / HTTP/1.1\r\n\r\n", Refusal::Target),
        ("GET / HTTP/1.1\r\nHOST: a b\r\n", Refusal::Host),
    ];
    for (head, refusal) in cases {
        assert_eq!(LIMITS.end_of_head(head.as_bytes()), Err(refusal), "{head:?}");
    }
}

/// What is within the limits, and one byte or field more, both as a whole and before its end has come.
#[test]
fn limits_hold_to_the_byte() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 14));
    assert_eq!(LIMITS.end_of_head(format!("{}\r\n", line(50)).as_bytes()), Ok(Some(54)));
    assert_eq!(LIMITS.end_of_head(format!("{}\r\n", line(51)).as_bytes()), Err(Refusal::LineSize));
    assert_eq!(LIMITS.end_of_head(&line(50).as_bytes()[..51]), Ok(None));
    assert_eq!(LIMITS.end_of_head(&line(51).as_bytes()[..52]), Err(Refusal::LineSize));

    let sized = |size: usize| format!("{}x: {}\r\n\r\n", line(50), "b".repeat(size - 59));
    assert_eq!(LIMITS.end_of_head(sized(200).as_bytes()), Ok(Some(200)));
    assert_eq!(LIMITS.end_of_head(sized(201).as_bytes()), Err(Refusal::HeadSize));
    assert_eq!(LIMITS.end_of_head(&sized(300).as_bytes()[..200]), Ok(None));
    assert_eq!(LIMITS.end_of_head(&sized(300).as_bytes()[..201]), Err(Refusal::HeadSize));

    let fields = |count: usize| format!("{}{}", line(50), "a: b\r\n".repeat(count));
    assert_eq!(LIMITS.end_of_head(format!("{}\r\n", fields(3)).as_bytes()), Ok(Some(72)));
    assert_eq!(LIMITS.end_of_head(format!("{}\r\n", fields(4)).as_bytes()), Err(Refusal::Fields));
    assert_eq!(LIMITS.end_of_head(fields(4).as_bytes()), Err(Refusal::Fields));
}

#[test]
fn hosts() {
    for host in
        ["", "a", "a.example:80", "a_b-c.d", "127.0.0.1:1", "[::1]", "[::1]:80", "a:", "%41", "xn--bcher-kva"]
    {
        assert!(is_host(host.as_bytes()), "{host}");
    }
    for host in [
        "a b", "a/b", "a@b", "a:b", "a:1:2", "a?b", "a#b", "[::1", "[]", "[::1]x", "a\\b", "a\tb", "\u{e9}",
        "a\"b", "<a>",
    ] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}
