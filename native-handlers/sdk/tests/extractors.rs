//! Headers, cookies, forms and what may be absent, as they cross the ABI. The answers to what does not fit are compared with
//! FastAPI's in `python/tests`.

mod support;

use bimetal::prelude::*;
use support::{call, handler, Call};

bimetal::plugin! { name: "demo" }

#[derive(Deserialize, JsonSchema)]
struct Trace {
    #[schemars(length(min = 3), regex(pattern = "^[a-z]+$"))]
    x_request_id: String,
    #[serde(default)]
    x_hop: Vec<i64>,
}

#[native_handler]
fn headers(Header(trace): Header<Trace>, Header(user_agent): Header<Option<String>>) -> String {
    format!("{} {:?} {user_agent:?}", trace.x_request_id, trace.x_hop)
}

#[native_handler]
fn cookies(Cookie(session): Cookie<i64>, theme: Option<Cookie<String>>) -> String {
    format!("{session} {:?}", theme.map(|Cookie(theme)| theme))
}

#[derive(Deserialize, JsonSchema)]
struct Login {
    user: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[native_handler]
fn login(Form(login): Form<Login>) -> String {
    format!("{} {:?}", login.user, login.groups)
}

#[native_handler]
fn vote(Form(choice): Form<i64>, comment: Option<Form<String>>) -> String {
    format!("{choice} {:?}", comment.map(|Form(comment)| comment))
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    limit: i64,
}

#[native_handler]
fn absent(
    page: Option<Query<Page>>,
    trace: Option<Header<Trace>>,
    number: Option<Query<i64>>,
    body: Option<Bytes>,
) -> String {
    format!(
        "{:?} {:?} {:?} {:?}",
        page.map(|Query(page)| page.limit),
        trace.map(|Header(trace)| trace.x_request_id),
        number.map(|Query(number)| number),
        body.map(|body| body.len())
    )
}

#[native_handler]
fn parts(request: RequestParts<'_>) -> String {
    let hops = request.header_values("X-Hop");
    format!("{} {} {:?} {:?}", request.method(), hops.len(), request.cookie("a"), request.cookie("b"))
}

#[native_handler]
fn moved() -> Redirect {
    Redirect::see_other("/new page")
}

#[native_handler]
fn decorated() -> (u16, [(&'static str, String); 2], Json<i64>) {
    (201, [("x-a", "1".to_owned()), ("Content-Type", "application/vnd.n+json".to_owned())], Json(7))
}

#[native_handler]
fn twice_decorated() -> ([(&'static str, &'static str); 1], Response) {
    ([("x-b", "2")], Response::text(200, "t").header("x-a", "1"))
}

#[derive(Deserialize, JsonSchema)]
struct Odd {
    #[schemars(regex(pattern = "(a"))]
    #[allow(dead_code, reason = "only described")]
    a: String,
}

#[native_handler]
fn odd(Query(_): Query<Odd>) {}

#[native_handler]
fn listed(Cookie(_ids): Cookie<Vec<i64>>) {}

fn text(request: &Call<'_>) -> String {
    let answer = call(request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
}

#[test]
fn headers_are_read_by_name() {
    let fields = &[("x-request-id", "abc"), ("x-hop", "1"), ("x-hop", "2"), ("user-agent", "t/1")];
    let request = Call { handler: "demo.headers", headers: fields, ..Call::default() };
    assert_eq!(text(&request), r#"abc [1, 2] Some("t/1")"#);
    let request = Call { handler: "demo.headers", headers: &[("x-request-id", "AB")], ..Call::default() };
    let answer = call(&request);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains(r#""loc":["header","x-request-id"]"#), "{}", answer.text());
}

#[test]
fn cookies_are_read_by_name() {
    let fields = &[("cookie", "session=1; theme=\"d a\""), ("cookie", "session=2")];
    let request = Call { handler: "demo.cookies", headers: fields, ..Call::default() };
    assert_eq!(text(&request), r#"2 Some("d a")"#);
    let request = Call { handler: "demo.cookies", headers: &[("cookie", "session=1")], ..Call::default() };
    assert_eq!(text(&request), "1 None");
}

#[test]
fn forms_are_read_by_name() {
    let form = |handler, body: &'static str| Call {
        handler,
        content_type: Some("application/x-www-form-urlencoded"),
        body: body.as_bytes(),
        ..Call::default()
    };
    assert_eq!(text(&form("demo.login", "user=a+b&groups=x&groups=%C3%A9")), r#"a b ["x", "é"]"#);
    assert_eq!(text(&form("demo.vote", "choice=1&comment=c")), r#"1 Some("c")"#);
    assert_eq!(text(&form("demo.vote", "choice=1&comment=")), "1 None");
    assert_eq!(call(&form("demo.vote", "")).status, 422);
    let multipart =
        |body| Call { content_type: Some("multipart/form-data; boundary=x"), ..form("demo.vote", body) };
    let sent = "--x\r\nContent-Disposition: form-data; name=\"choice\"\r\n\r\n1\r\n--x--";
    assert_eq!(text(&multipart(sent)), "1 None");
    assert_eq!(call(&multipart("--x--")).status, 422);
}

#[test]
fn parts_are_read_by_name() {
    let fields = &[("x-hop", "1"), ("cookie", "a=1; a=2"), ("x-hop", "2")];
    let request = Call { handler: "demo.parts", method: "GET", headers: fields, ..Call::default() };
    assert_eq!(text(&request), r#"GET 2 Some("2") None"#);
}

#[test]
fn what_is_absent_is_none() {
    let request = Call { handler: "demo.absent", ..Call::default() };
    assert_eq!(text(&request), "None None None None");
    let request =
        Call { query: "limit=3&number=4", headers: &[("x-request-id", "abc")], body: b"xy", ..request };
    assert_eq!(text(&request), r#"Some(3) Some("abc") Some(4) Some(2)"#);
    assert_eq!(call(&Call { handler: "demo.absent", query: "limit=x", ..Call::default() }).status, 422);
}

#[test]
fn responses_have_status_and_headers() {
    let moved = call(&Call { handler: "demo.moved", ..Call::default() });
    assert_eq!((moved.status, moved.headers), (303, vec![("location".to_owned(), "/new%20page".to_owned())]));
    let decorated = call(&Call { handler: "demo.decorated", ..Call::default() });
    assert_eq!((decorated.status, decorated.text()), (201, "7"));
    assert_eq!(decorated.content_type, "application/vnd.n+json");
    assert_eq!(decorated.headers, [("x-a".to_owned(), "1".to_owned())]);
    let twice = call(&Call { handler: "demo.twice_decorated", ..Call::default() });
    let names: Vec<&str> = twice.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names, &*twice.content_type, twice.text()),
        (vec!["x-a", "x-b"], "text/plain; charset=utf-8", "t")
    );
}

fn meta(name: &str) -> serde_json::Value {
    // SAFETY: the table is static, and so is its text.
    serde_json::from_str(unsafe { handler(name).meta_json.text() }.unwrap()).unwrap()
}

#[test]
fn the_metadata_names_the_places() {
    let headers = meta("demo.headers");
    let id = &headers["parameters"][0];
    assert_eq!(
        (&id["in"], &id["name"], &id["required"]),
        (&"header".into(), &"x-request-id".into(), &true.into())
    );
    assert_eq!((&id["schema"]["minLength"], &id["schema"]["pattern"]), (&3.into(), &"^[a-z]+$".into()));
    let places: Vec<String> = meta("demo.absent")["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| format!("{} {} {}", parameter["in"], parameter["name"], parameter["required"]))
        .collect();
    assert_eq!(
        places,
        [
            r#""query" "limit" false"#,
            r#""query" "number" false"#,
            r#""header" "x-request-id" false"#,
            r#""header" "x-hop" false"#
        ]
    );
    assert_eq!(meta("demo.cookies")["parameters"][1]["in"], "cookie");
    let vote = &meta("demo.vote")["request_body"];
    assert_eq!(vote["content_type"], "application/x-www-form-urlencoded");
    assert_eq!(vote["schema"]["required"], serde_json::json!(["choice"]));
    assert_eq!(meta("demo.login")["request_body"]["schema"]["$ref"], "#/components/schemas/Login");
    assert_eq!(meta("demo.moved")["response"]["status"], 307);
}

#[test]
fn what_cannot_work_is_refused() {
    assert_eq!(meta("demo.odd")["error"], "the pattern `(a` is not valid: unclosed group");
    assert_eq!(meta("demo.listed")["error"], "a cookie has one value; `_ids` cannot be a list");
}
