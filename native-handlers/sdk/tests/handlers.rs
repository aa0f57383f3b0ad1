//! What handlers return, as it crosses the ABI.

mod support;

use bimetal::prelude::*;
use bimetal_abi::{
    CAP_RESPONSE_STREAM, HANDLER_ASYNC, HANDLER_BLOCKING, HANDLER_KIND_MASK, HANDLER_READS_BODY,
    HANDLER_SYNC, RESULT_PANIC,
};
use support::{call, handler, Answer, Call};

#[derive(Deserialize)]
struct Config {
    #[serde(default = "Config::greeting")]
    greeting: String,
}

impl Config {
    fn greeting() -> String {
        "hello".to_owned()
    }
}

#[derive(Clone)]
struct Greeting(std::sync::Arc<str>);

bimetal::plugin! { name: "demo", init: |config: Config| Ok::<_, String>(Greeting(config.greeting.into())) }

#[native_handler]
fn greet(State(greeting): State<Greeting>) -> String {
    greeting.0.to_string()
}

#[native_handler]
fn fixed() -> &'static str {
    "fixed"
}

#[native_handler]
fn fails() -> Result<Json<i64>, HttpError> {
    Err(HttpError::new(418, "a \"teapot\"").header("retry-after", "1"))
}

#[native_handler]
fn fails_in_detail() -> Result<Json<i64>, HttpError> {
    Err(HttpError::with_detail(409, &[1, 2]))
}

#[native_handler(name = "deep.status")]
fn status() -> (u16, Json<Vec<f64>>) {
    (202, Json(vec![1.0, 2.5]))
}

/// Cannot be written as JSON: a map whose keys are lists.
#[native_handler]
fn unwritable() -> (u16, Json<std::collections::BTreeMap<Vec<u8>, u8>>) {
    (201, Json([(vec![1], 1)].into()))
}

#[native_handler]
fn typed() -> Response {
    Response::text(200, "<p>").header("Content-Type", "text/html").header("x-a", "1").header("x-a", "2")
}

#[native_handler]
fn nothing() {}

#[native_handler]
fn panics(body: &[u8]) -> Bytes {
    panic!("on purpose: {}", body.len())
}

#[native_handler(blocking)]
fn blocks() -> Vec<u8> {
    vec![0; 5000]
}

/// Waits.
///
/// For nothing.
#[native_handler]
async fn waits(Path(id): Path<i64>) -> Json<i64> {
    Json(id)
}

fn get(handler: &str) -> Answer {
    call(&Call { handler, method: "GET", path: "/", ..Call::default() })
}

#[test]
fn return_values_become_responses() {
    let brief = |name: &str| {
        let answer = get(name);
        (answer.status, answer.content_type.clone(), answer.text().to_owned())
    };
    let text = "text/plain; charset=utf-8".to_owned();
    let json = "application/json".to_owned();
    assert_eq!(brief("demo.fixed"), (200, text.clone(), "fixed".to_owned()));
    assert_eq!(brief("demo.greet"), (200, text, "hello".to_owned()));
    assert_eq!(brief("demo.deep.status"), (202, json.clone(), "[1.0,2.5]".to_owned()));
    assert_eq!(brief("demo.fails"), (418, json.clone(), r#"{"detail":"a \"teapot\""}"#.to_owned()));
    assert_eq!(brief("demo.fails_in_detail"), (409, json.clone(), r#"{"detail":[1,2]}"#.to_owned()));
    assert_eq!(brief("demo.unwritable"), (500, json, r#"{"detail":"Internal Server Error"}"#.to_owned()));
    assert_eq!(brief("demo.nothing"), (200, String::new(), String::new()));
    assert_eq!(get("demo.fails").headers, [("retry-after".to_owned(), "1".to_owned())]);
    let typed = get("demo.typed");
    assert_eq!((typed.content_type.as_str(), typed.text()), ("text/html", "<p>"));
    assert_eq!(typed.headers, [("x-a".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())]);
    assert_eq!(get("demo.blocks").body.len(), 5000);
}

#[test]
fn a_panic_stops_at_the_boundary() {
    let answer =
        call(&Call { handler: "demo.panics", method: "POST", path: "/", body: b"123", ..Call::default() });
    assert_eq!(answer.result, RESULT_PANIC);
    assert_eq!(get("demo.fixed").text(), "fixed");
}

#[test]
fn the_table_describes_every_handler() {
    let (plugin, _) = support::plugin();
    // SAFETY: text of a table is static.
    let text = |slice: bimetal_abi::BmSlice| unsafe { slice.text() }.unwrap();
    assert_eq!((text(plugin.name), text(plugin.version)), ("demo", env!("CARGO_PKG_VERSION")));
    assert_eq!(plugin.n_handlers, 11);
    for (name, kind) in
        [("demo.fixed", HANDLER_SYNC), ("demo.blocks", HANDLER_BLOCKING), ("demo.waits", HANDLER_ASYNC)]
    {
        assert_eq!(handler(name).flags & HANDLER_KIND_MASK, kind, "{name}");
    }
    assert_ne!(handler("demo.panics").flags & HANDLER_READS_BODY, 0);
    assert_eq!(handler("demo.fixed").flags & HANDLER_READS_BODY, 0);
    let waits = handler("demo.waits");
    assert!(waits.call.is_none() && waits.start.is_some() && waits.future_size > 0);
    let meta: serde_json::Value = serde_json::from_str(text(waits.meta_json)).unwrap();
    assert_eq!(
        meta,
        serde_json::json!({
            "name": "demo.waits",
            "kind": "async",
            "summary": "Waits",
            "description": "Waits.\n\nFor nothing.",
            "parameters": [
                {"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "format": "int64"}},
            ],
            "request_body": null,
            "response": {
                "status": 200,
                "content_type": "application/json",
                "schema": {"type": "integer", "format": "int64"},
            },
            "schemas": {},
        })
    );
}

#[test]
fn a_plugin_without_streams_works_on_a_host_that_takes_none() {
    let (plugin, _) = support::plugin();
    assert_eq!(plugin.required_caps & CAP_RESPONSE_STREAM, 0);
}
