use super::*;
use crate::edge::head_fixture::{get, options, shown, Given};

const A: &str = "https://a.example";
const VARY: &str =
    "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";
const SAFE: &str = "access-control-allow-headers: Accept, Accept-Language, Content-Language, Content-Type";

fn some(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn allowing(origins: &[&str]) -> CorsOptions {
    CorsOptions { allow_origins: some(origins), ..CorsOptions::default() }
}

fn cors(options: CorsOptions) -> Cors {
    Cors::new(options).unwrap()
}

/// A preflight from `origin` for `method`, with further headers.
fn preflight(origin: &str, method: &str, more: &[(&'static str, &str)]) -> Given {
    options(&[&[("origin", origin), ("access-control-request-method", method)], more].concat())
}

fn answered(cors: &Cors, request: Given) -> (u16, Vec<String>, String) {
    let (status, fields, body) = shown(cors.before(&request).unwrap());
    (status, fields, String::from_utf8(body).unwrap())
}

#[test]
fn a_preflight_gets_its_headers_in_starlettes_order() {
    let found = answered(&cors(allowing(&[A])), preflight(A, "GET", &[]));
    let fields = [
        VARY,
        "access-control-allow-methods: GET",
        "access-control-max-age: 600",
        SAFE,
        "access-control-allow-origin: https://a.example",
        "content-length: 2",
        "content-type: text/plain; charset=utf-8",
    ];
    assert_eq!(found, (200, some(&fields), "OK".to_owned()));

    let everything = CorsOptions {
        allow_methods: some(&["*"]),
        allow_headers: some(&["*"]),
        allow_credentials: true,
        max_age: "-1".to_owned(),
        allow_private_network: true,
        ..allowing(&["*"])
    };
    let more =
        [("access-control-request-headers", "X-A, x-b"), ("access-control-request-private-network", "true")];
    let found = answered(&cors(everything), preflight("null", "QUERY", &more));
    let fields = [
        VARY,
        "access-control-allow-methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY",
        "access-control-max-age: -1",
        "access-control-allow-credentials: true",
        "access-control-allow-origin: null",
        "access-control-allow-headers: X-A, x-b",
        "access-control-allow-private-network: true",
        "content-length: 2",
        "content-type: text/plain; charset=utf-8",
    ];
    assert_eq!(found, (200, some(&fields), "OK".to_owned()));

    let found = answered(&cors(allowing(&["*"])), preflight(A, "GET", &[]));
    assert_eq!(found.1[1], "access-control-allow-origin: *");
    assert_eq!(found.1.iter().filter(|field| field.starts_with("access-control-allow-origin")).count(), 1);
}

#[test]
fn what_is_not_allowed_is_named() {
    const HEADERS: &str = "access-control-request-headers";
    const NETWORK: &str = "access-control-request-private-network";
    let strict = || CorsOptions { allow_headers: some(&["X-Token", "accept"]), ..allowing(&[A, "null"]) };
    let any_header = || CorsOptions { allow_headers: some(&["*"]), ..allowing(&[A]) };
    for (options, origin, method, more, text) in [
        (strict(), A, "GET", &[][..], "OK"),
        (strict(), "null", "GET", &[], "OK"),
        (strict(), "https://b.example", "GET", &[], "Disallowed CORS origin"),
        (strict(), "HTTPS://A.EXAMPLE", "GET", &[], "Disallowed CORS origin"),
        (strict(), "https://a.example/", "GET", &[], "Disallowed CORS origin"),
        (strict(), "", "GET", &[], "Disallowed CORS origin"),
        (strict(), A, "POST", &[], "Disallowed CORS method"),
        (strict(), A, "get", &[], "Disallowed CORS method"),
        (strict(), A, "", &[], "Disallowed CORS method"),
        (strict(), A, "GET", &[(HEADERS, "x-token")], "OK"),
        (strict(), A, "GET", &[(HEADERS, " X-TOKEN ,\tcontent-type,Accept")], "OK"),
        (strict(), A, "GET", &[(HEADERS, "x-token,")], "Disallowed CORS headers"),
        (strict(), A, "GET", &[(HEADERS, "")], "Disallowed CORS headers"),
        (strict(), A, "GET", &[(HEADERS, "x-token, x-other, x-third")], "Disallowed CORS headers"),
        (strict(), A, "GET", &[(NETWORK, "true")], "Disallowed CORS private-network"),
        (strict(), A, "GET", &[(NETWORK, "")], "Disallowed CORS private-network"),
        (
            strict(),
            "x",
            "PUT",
            &[(HEADERS, "y"), (NETWORK, "false")],
            "Disallowed CORS origin, method, headers, private-network",
        ),
        (any_header(), A, "GET", &[(HEADERS, "")], "OK"),
        (any_header(), A, "GET", &[(HEADERS, "anything, at all")], "OK"),
    ] {
        let found = answered(&cors(options), preflight(origin, method, more));
        let status = if text == "OK" { 200 } else { 400 };
        assert_eq!((found.0, found.2.as_str()), (status, text), "{origin} {method} {more:?}");
        let named = found.1.iter().any(|field| field == &format!("access-control-allow-origin: {origin}"));
        assert_eq!(named, !text.contains("origin"), "{origin} {method} {more:?}");
    }
}

#[test]
fn requested_headers_are_sent_back_as_they_came() {
    let any = cors(CorsOptions { allow_headers: some(&["x-a", "*"]), ..allowing(&[A]) });
    let request = |value: &[u8]| {
        let mut request = preflight(A, "GET", &[]);
        request.headers.push(("access-control-request-headers", value.to_vec()));
        shown(any.before(&request).unwrap()).1
    };
    assert!(request(b"X-\xe4").contains(&"access-control-allow-headers: X-\u{e4}".to_owned()));
    assert!(request(b"").contains(&"access-control-allow-headers: ".to_owned()));
    let none = shown(any.before(&preflight(A, "GET", &[])).unwrap()).1;
    assert!(!none.iter().any(|field| field.starts_with("access-control-allow-headers")));
}

#[test]
fn other_requests_are_no_preflights() {
    let cors = cors(allowing(&["*"]));
    for request in [
        get(&[("origin", A), ("access-control-request-method", "GET")]),
        options(&[("origin", A)]),
        options(&[("access-control-request-method", "GET")]),
        Given { scheme: "ws", ..preflight(A, "GET", &[]) },
    ] {
        assert!(cors.before(&request).is_none());
    }
}

#[test]
fn responses_say_who_may_read_them() {
    const ANY: &str = "access-control-allow-origin: *";
    const MAY: &str = "access-control-allow-credentials: true";
    const FROM_A: &str = "access-control-allow-origin: https://a.example";
    const SHOWN: &str = "access-control-expose-headers: X-A, X-B";
    let with = |origins: &[&str], credentials, exposed: &[&str]| CorsOptions {
        allow_credentials: credentials,
        expose_headers: some(exposed),
        ..allowing(origins)
    };
    let vary = "vary: Origin";
    for (options, origin, expected) in [
        (with(&["*"], false, &[]), None, &[vary][..]),
        (with(&["*"], false, &[]), Some(A), &[ANY, vary]),
        (with(&["*"], true, &[]), None, &[vary]),
        (with(&["*"], true, &[]), Some(A), &[FROM_A, MAY, vary]),
        (
            with(&["*", A], true, &["X-A", "X-B"]),
            Some("null"),
            &["access-control-allow-origin: null", MAY, SHOWN, vary],
        ),
        (with(&[A], false, &[]), None, &[vary]),
        (with(&[A], false, &[]), Some(A), &[FROM_A, vary]),
        (with(&[A], false, &["X-A", "X-B"]), Some("https://b.example"), &[SHOWN, vary]),
        (with(&[A], true, &[]), Some("https://b.example"), &[MAY, vary]),
        (with(&[A], true, &[]), Some(A), &[MAY, FROM_A, vary]),
        (with(&[], false, &[]), Some(""), &[vary]),
    ] {
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let response = cors(options).after(&get(&headers).noted(), Response::new(StatusCode::OK));
        assert_eq!(shown(response).1, some(expected), "{origin:?}");
    }
}

#[test]
fn what_the_response_says_already_is_replaced_or_completed() {
    let response = Response::new(StatusCode::IM_A_TEAPOT)
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://own.example"))
        .with_header(header::VARY, HeaderValue::from_static("Accept-Encoding"))
        .with_header(HeaderName::from_static("x-a"), HeaderValue::from_static("1"))
        .with_header(header::VARY, HeaderValue::from_static("Cookie"));
    let response = cors(allowing(&[A])).after(&get(&[("origin", A)]).noted(), response);
    let expected =
        ["access-control-allow-origin: https://a.example", "vary: Accept-Encoding, Cookie, Origin", "x-a: 1"];
    assert_eq!((response.status.as_u16(), shown(response).1), (418, some(&expected)));
}

#[test]
fn a_regular_expression_matches_whole_origins() {
    let options = || CorsOptions {
        allow_origin_regex: Some(r"https://.*\.example|x".to_owned()),
        ..allowing(&["https://listed"])
    };
    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://a.example.evil", false),
        ("evil-https://a.example", false),
        ("x", true),
        ("xx", false),
        ("https://listed", true),
    ] {
        let found = answered(&cors(options()), preflight(origin, "GET", &[]));
        assert_eq!(found.0 == 200, allowed, "{origin}");
        let response =
            cors(options()).after(&get(&[("origin", origin)]).noted(), Response::new(StatusCode::OK));
        assert_eq!(shown(response).1.len() == 2, allowed, "{origin}");
    }
    // Bytes are the characters of Latin-1.
    let latin = cors(CorsOptions { allow_origin_regex: Some(r"[\xe4-\xe6]".to_owned()), ..allowing(&[]) });
    let mut request = preflight("", "GET", &[]);
    request.headers[0].1 = vec![0xe5];
    assert_eq!(latin.before(&request).unwrap().status.as_u16(), 200);
}

#[test]
fn options_that_cannot_be_sent_are_refused() {
    for (options, named) in [
        (CorsOptions { max_age: "1\n2".to_owned(), ..allowing(&[]) }, "max_age"),
        (CorsOptions { allow_methods: some(&["G\u{0}T"]), ..allowing(&[]) }, "allow_methods"),
        (CorsOptions { allow_headers: some(&["\u{7f}"]), ..allowing(&[]) }, "allow_headers"),
        (CorsOptions { expose_headers: some(&["\r"]), ..allowing(&[]) }, "expose_headers"),
        (CorsOptions { allow_origin_regex: Some("(".to_owned()), ..allowing(&[]) }, "allow_origin_regex"),
    ] {
        let error = Cors::new(options).unwrap_err();
        assert!(error.to_string().starts_with(named) && error.kind() == ErrorKind::Config, "{error}");
    }
}
