use super::*;
use crate::edge::head_fixture::{get, shown, Given};
use crate::edge::Layer;
use crate::http::StatusCode;

fn headers(fields: &[(&str, &str)]) -> Result<SecurityHeaders, Error> {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SecurityHeaders::new(&fields)
}

fn after(layer: &SecurityHeaders, request: &Given, response: Response) -> Vec<String> {
    let noted = request.noted_for(&Layer::SecurityHeaders(layer.clone()));
    shown(layer.after(&noted, response)).1
}

#[test]
fn what_the_application_says_stays() {
    let layer = headers(&[("X-Frame-Options", "DENY"), ("referrer-policy", "no-referrer")]).unwrap();
    let own = Response::new(StatusCode::NOT_FOUND)
        .with_header(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    assert_eq!(
        after(&layer, &get(&[]), own),
        ["x-frame-options: SAMEORIGIN", "referrer-policy: no-referrer"]
    );
}

#[test]
fn transport_security_is_for_encrypted_connections() {
    let layer = headers(&[("Strict-Transport-Security", "max-age=60"), ("a", "b")]).unwrap();
    let plain = || Response::new(StatusCode::OK);
    assert_eq!(after(&layer, &get(&[]), plain()), ["a: b"]);
    let encrypted = Given { scheme: "https", ..get(&[]) };
    assert_eq!(after(&layer, &encrypted, plain()), ["a: b", "strict-transport-security: max-age=60"]);
    let own = plain().with_header(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=0"));
    assert_eq!(after(&layer, &encrypted, own), ["strict-transport-security: max-age=0", "a: b"]);
}

#[test]
fn what_cannot_be_sent_is_named() {
    for (name, value) in [("x y", "a"), ("", "a"), ("x", "a\nb"), ("x", "\u{0}")] {
        let error = headers(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}
