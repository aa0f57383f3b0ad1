//! Status codes that `#[native_handler(status = ...)]` declares.

mod support;

use bimetal::prelude::*;
use support::{call, handler, Call};

bimetal::plugin! { name: "demo" }

#[native_handler]
fn fixed() -> &'static str {
    "fixed"
}

#[native_handler(status = 201)]
fn created(Query(how): Query<String>) -> Result<Json<i64>, HttpError> {
    if how == "not" {
        return Err(HttpError::new(409, "there is one"));
    }
    Ok(Json(1))
}

#[native_handler(status = 201)]
fn sometimes_created(Query(how): Query<u16>) -> (u16, Json<i64>) {
    (how, Json(1))
}

#[native_handler(status = 202)]
fn made_by_hand() -> Response {
    Response::text(203, "by hand")
}

#[native_handler(status = 204)]
fn gone() {}

#[test]
fn a_declared_status_is_that_of_responses_that_set_none() {
    let status = |handler: &str, query: &str| call(&Call { handler, query, ..Call::default() }).status;
    assert_eq!(status("demo.created", "how=so"), 201);
    assert_eq!(status("demo.created", "how=not"), 409);
    assert_eq!(status("demo.created", ""), 422);
    assert_eq!(status("demo.sometimes_created", "how=299"), 299);
    assert_eq!(status("demo.made_by_hand", ""), 203);
    assert_eq!(status("demo.gone", ""), 204);
    let meta = |name: &str| -> serde_json::Value {
        // SAFETY: text of a table is static.
        serde_json::from_str(unsafe { handler(name).meta_json.text() }.unwrap()).unwrap()
    };
    for (name, declared, described) in [
        ("demo.created", Some(201), 201),
        ("demo.sometimes_created", Some(201), 201),
        ("demo.made_by_hand", Some(202), 202),
        ("demo.gone", Some(204), 204),
        ("demo.fixed", None, 200),
    ] {
        let meta = meta(name);
        assert_eq!(meta.get("status").and_then(serde_json::Value::as_u64), declared, "{name}");
        assert_eq!(meta["response"]["status"], described, "{name}");
    }
}
