use super::*;
use crate::edge::head_fixture::{get, Given};

#[test]
fn hosts_and_ports_are_told_apart() {
    for (value, expected) in [
        ("example.org", Some(("example.org", None))),
        ("Example.ORG:8000", Some(("Example.ORG", Some("8000")))),
        ("a_b~c%41!$&'()*+,;=-.x:0", Some(("a_b~c%41!$&'()*+,;=-.x", Some("0")))),
        ("a:99999999", Some(("a", Some("99999999")))),
        ("[::1]", Some(("[::1]", None))),
        ("[::1]:80", Some(("[::1]", Some("80")))),
        ("[::FFFF:1.2.3.4]:1", Some(("[::FFFF:1.2.3.4]", Some("1")))),
        ("[1:2:3:4:5:6:7::]", Some(("[1:2:3:4:5:6:7::]", None))),
        ("[v1.a:b]:1", Some(("[v1.a:b]", Some("1")))),
        ("[vF.!]", Some(("[vF.!]", None))),
        ("", None),
        (":80", None),
        ("a:", None),
        ("a:b", None),
        ("a:1:2", None),
        ("a:+1", None),
        ("a b", None),
        ("a/b", None),
        ("a?b", None),
        ("a#b", None),
        ("a@b", None),
        ("user:pw@b", None),
        ("a\\b", None),
        ("\"a\"", None),
        ("a\u{e4}", None),
        ("a:\u{661}", None),
        ("[::1", None),
        ("::1", None),
        ("[]", None),
        ("[:]", None),
        ("[1::2::3]", None),
        ("[1:2:3:4:5:6:7:8:9]", None),
        ("[12345::]", None),
        ("[::1%eth0]", None),
        ("[::1.2.3.04]", None),
        ("[::1.2.3.256]", None),
        ("[127.0.0.1]", None),
        ("[V1.a]", None),
        ("[v.a]", None),
        ("[v1.]", None),
        ("[vg.a]", None),
        ("[v1.a%]", None),
        ("[::1]x", None),
        ("[::1]:", None),
        ("x[::1]", None),
    ] {
        let found = HostHeader::parse(value.as_bytes());
        assert_eq!(found.map(|found| (found.host, found.port)), expected, "{value}");
    }
    assert_eq!(HostHeader::parse(b"a\xe4"), None);
}

#[test]
fn ports_beyond_the_last_one_are_not_valid() {
    for (port, valid) in
        [("0", true), ("65535", true), ("65536", false), ("00000065535", true), ("100000", false)]
    {
        assert_eq!(HostHeader { host: "a", port: Some(port) }.has_valid_port(), valid, "{port}");
    }
}

#[test]
fn urls_are_put_together_as_starlette_does() {
    let at =
        |host: &str, target, server| Url::of(&Given { target, server, ..get(&[("host", host)]) }).to_string();
    let local = Some(("127.0.0.1", 8000));
    for (host, target, server, expected) in [
        ("a.example", ("/x", "y=1"), local, "http://a.example/x?y=1"),
        ("A.example:080", ("/", ""), local, "http://A.example:080/"),
        ("a:70000", ("/", ""), local, "http://127.0.0.1:8000/"),
        ("a/b", ("/", ""), Some(("::1", 80)), "http://[::1]/"),
        ("", ("/", ""), Some(("::1", 81)), "http://[::1]:81/"),
        ("a", ("/a?b#c\\d", ""), local, "http://a/a%3Fb%23c%5Cd"),
        ("a", ("/a\t\r\nb", ""), local, "http://a/ab"),
        ("a", ("//b", "?"), local, "http://a//b??"),
        ("a", ("*", ""), local, "http://a/*"),
        ("", ("//b", "c"), None, "/%2Fb?c"),
    ] {
        assert_eq!(at(host, target, server), expected);
    }
}

#[test]
fn host_and_port_of_a_url() {
    for (host, name, port) in [
        ("A.Example:80", "a.example", Some(80)),
        ("[::FF]:443", "::ff", Some(443)),
        ("AB%CD", "ab%CD", None),
        ("a:00080", "a", Some(80)),
    ] {
        let url = Url::of(&get(&[("host", host)]));
        assert_eq!((url.hostname().as_deref(), url.port()), (Some(name), port));
    }
}
