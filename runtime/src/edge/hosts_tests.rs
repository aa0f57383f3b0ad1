use super::*;
use crate::edge::head_fixture::{get, shown, Given};

fn hosts(allowed: &[&str], www_redirect: bool) -> Hosts {
    Hosts::new(&allowed.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>(), www_redirect).unwrap()
}

#[test]
fn hosts_that_are_served_pass() {
    for (allowed, host, served) in [
        (&["a.example"][..], "a.example", true),
        (&["a.example"], "A.EXAMPLE:8000", true),
        (&["A.Example"], "a.example", true),
        (&["a.example"], "b.a.example", false),
        (&["a.example:80"], "a.example:80", false),
        (&["*.a.example"], "b.a.example", true),
        (&["*.a.example"], "c.b.a.example:1", true),
        (&["*.a.example"], "a.example", false),
        (&["*.a.example"], "xa.example", false),
        (&["*."], "a.", true),
        (&["x", "*"], "!", true),
        (&["*"], "not a host", true),
        (&["[::1]"], "[::1]:80", true),
        (&["::1"], "[::1]", false),
        (&["a"], "a:99999", true),
        (&["a"], "a:", false),
        (&["a"], "a/", false),
        (&[], "a", false),
        (&[""], "", false),
    ] {
        let answer = hosts(allowed, true).before(&get(&[("host", host)]));
        assert_eq!(answer.is_none(), served, "{allowed:?} {host}");
        if let Some(answer) = answer {
            let fields = ["content-length: 19", "content-type: text/plain; charset=utf-8"].map(str::to_owned);
            assert_eq!(shown(answer), (400, fields.to_vec(), b"Invalid host header".to_vec()));
        }
    }
    assert!(hosts(&["a"], true).before(&get(&[])).is_some());
    assert!(hosts(&["*"], true).before(&get(&[])).is_none());
}

#[test]
fn the_first_host_header_counts() {
    assert!(hosts(&["a"], true).before(&get(&[("host", "a"), ("host", "b")])).is_none());
    assert!(hosts(&["a"], true).before(&get(&[("host", "b"), ("host", "a")])).is_some());
}

#[test]
fn bare_names_are_sent_to_www() {
    let location = |allowed: &[&str], redirect, request: Given| {
        hosts(allowed, redirect).before(&request).map(|answer| shown(answer).1.last().cloned().unwrap())
    };
    let request = || Given { target: ("/a b/\u{fc}%", "q=\"x\"&y=%20"), ..get(&[("host", "A.example:81")]) };
    let to = "location: http://www.A.example:81/a%20b/%C3%BC%?q=%22x%22&y=%20";
    assert_eq!(location(&["www.a.example"], true, request()).as_deref(), Some(to));
    assert_eq!(location(&["x", "www.a.example"], true, request()).as_deref(), Some(to));
    assert_eq!(location(&["www.a.example", "a.example"], true, request()), None);
    let refused = location(&["www.a.example"], false, request()).unwrap();
    assert_eq!(refused, "content-type: text/plain; charset=utf-8");
    let socket = Given { scheme: "ws", ..get(&[("host", "a.example")]) };
    assert_eq!(location(&["www.a.example"], true, socket).as_deref(), Some("location: ws://www.a.example/"));
    let nowhere = Given { server: None, target: ("/x", ""), ..get(&[("host", "a.example:99999")]) };
    assert_eq!(location(&["www.a.example"], true, nowhere).as_deref(), Some("location: //www./x"));
}

#[test]
fn wildcards_stand_in_front_only() {
    for pattern in ["a.*", "*a", "**", "*.*", "a*.b"] {
        let refused = Hosts::new(&[pattern.to_owned()], true).unwrap_err();
        assert!(refused.to_string().contains(pattern), "{refused}");
    }
}

#[test]
fn whether_it_may_redirect() {
    for (allowed, redirect, may) in [
        (&["www.a"][..], true, true),
        (&["www.a"], false, false),
        (&["a"], true, false),
        (&["www.a", "*"], true, false),
    ] {
        assert_eq!(hosts(allowed, redirect).redirects(), may);
    }
}
