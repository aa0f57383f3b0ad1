use std::net::IpAddr;

use super::{host_and_port, Forwarded, TrustedProxies};
use crate::http::header::{HeaderMap, HeaderName, HeaderValue};

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn read(trusted: &[&str], peer: &str, fields: &[(&'static str, &str)]) -> Option<Forwarded> {
    let peer: Option<IpAddr> = peer.parse().ok();
    TrustedProxies::parse(trusted).unwrap().read(peer, &headers(fields))
}

fn client(trusted: &[&str], list: &str) -> Option<(String, i64)> {
    read(trusted, "127.0.0.1", &[("x-forwarded-for", list)])?.client
}

#[test]
fn only_a_trusted_peer_is_believed() {
    let fields = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
    let told = Some(Forwarded { client: Some(("192.0.2.1".to_owned(), 0)), secure: Some(true) });
    for (trusted, peer, expected) in [
        (&["127.0.0.1"][..], "127.0.0.1", &told),
        (&["127.0.0.1"], "127.0.0.2", &None),
        (&["127.0.0.0/8"], "127.0.0.2", &told),
        (&["::1"], "::1", &told),
        (&["::1"], "127.0.0.1", &None),
        (&["fd00::/8"], "fd12::1", &told),
        (&["*"], "203.0.113.9", &told),
        (&["*"], "", &told),
        (&["127.0.0.1"], "", &None),
        (&[], "127.0.0.1", &None),
    ] {
        assert_eq!(&read(trusted, peer, &fields), expected, "{trusted:?} {peer}");
    }
}

#[test]
fn the_client_is_the_last_one_that_is_not_trusted() {
    let local = ["127.0.0.1", "10.0.0.0/8"];
    for (list, expected) in [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1, 10.1.1.1", ("192.0.2.1", 0)),
        ("6.6.6.6, 192.0.2.1, 10.1.1.1,127.0.0.1", ("192.0.2.1", 0)),
        ("192.0.2.1:4711, 10.1.1.1:80", ("192.0.2.1", 4711)),
        ("[2001:db8::1]:4711", ("2001:db8::1", 4711)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("unknown, 10.1.1.1", ("unknown", 0)),
        ("10.9.9.9, 10.1.1.1", ("10.9.9.9", 0)),
    ] {
        assert_eq!(client(&local, list), Some((expected.0.to_owned(), expected.1)), "{list}");
    }
    assert_eq!(client(&["*"], "192.0.2.1, 192.0.2.2"), Some(("192.0.2.1".to_owned(), 0)));
    assert_eq!(client(&local, ""), None);
    assert_eq!(client(&local, "192.0.2.1,"), None);
}

#[test]
fn several_fields_are_one_list_and_the_last_protocol_counts() {
    let fields = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-proto", " http "),
    ];
    let told = read(&["127.0.0.1"], "127.0.0.1", &fields).unwrap();
    assert_eq!(told, Forwarded { client: Some(("192.0.2.1".to_owned(), 0)), secure: Some(false) });
    let told = read(&["127.0.0.1"], "127.0.0.1", &[("x-forwarded-proto", "gopher")]).unwrap();
    assert_eq!(told, Forwarded::default());
    assert_eq!(read(&["127.0.0.1"], "127.0.0.1", &[("forwarded", "for=192.0.2.1")]), None);
}

#[test]
fn hosts_and_ports() {
    for (entry, expected) in [
        ("a:1", ("a", 1)),
        ("a:", ("a:", 0)),
        ("a:x", ("a:x", 0)),
        ("a:1_0", ("a", 10)),
        ("a:_1", ("a:_1", 0)),
        ("[::1", ("[::1", 0)),
        ("[::1]", ("::1", 0)),
        ("[::1]x", ("[::1]x", 0)),
        ("[::1]:x", ("::1", 0)),
        ("::1", ("::1", 0)),
    ] {
        assert_eq!(host_and_port(entry), expected, "{entry}");
    }
}

#[test]
fn a_malformed_network_is_named() {
    assert!(TrustedProxies::parse(["10.0.0.0/99"]).unwrap_err().contains("10.0.0.0/99"));
}
