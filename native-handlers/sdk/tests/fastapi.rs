//! The same requests to native handlers and to FastAPI: status and body must be equal.
//!
//! FastAPI's answers were recorded by `fastapi/record.py` (FastAPI 0.163, Pydantic 2.14, CPython 3.11).

mod support;

use std::collections::BTreeMap;

use bimetal::prelude::*;
use support::{call, Call};

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum Color {
    #[default]
    Red,
    Green,
    Blue,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Dim {
    w: i64,
    h: f64,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Item {
    name: String,
    price: f64,
    #[serde(default)]
    tags: Vec<String>,
    count: Option<i64>,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    color: Color,
    dim: Option<Dim>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limited {
    #[schemars(range(min = 1), extend("exclusiveMaximum" = 10))]
    a: i64,
    #[schemars(length(min = 2, max = 3))]
    s: String,
    #[serde(default = "one")]
    #[schemars(length(min = 1, max = 2))]
    t: Vec<i64>,
}

fn one() -> Vec<i64> {
    vec![1]
}

#[derive(Deserialize, JsonSchema)]
struct UserQuery {
    #[serde(default)]
    verbose: bool,
    limit: Option<i64>,
    #[serde(default = "ratio")]
    ratio: f64,
    color: Option<Color>,
}

fn ratio() -> f64 {
    1.0
}

type UserAnswer = (i64, bool, Option<i64>, f64, Option<Color>);

#[native_handler]
fn user(Path(user_id): Path<i64>, Query(q): Query<UserQuery>) -> Json<UserAnswer> {
    Json((user_id, q.verbose, q.limit, q.ratio, q.color))
}

#[derive(Deserialize, JsonSchema)]
struct ListQuery {
    a: i64,
    b: String,
    #[serde(default)]
    tags: Vec<i64>,
}

#[native_handler]
fn query(Query(q): Query<ListQuery>) -> Json<(i64, String, Vec<i64>)> {
    Json((q.a, q.b, q.tags))
}

#[native_handler]
fn item(Json(item): Json<Item>) -> Json<Item> {
    Json(item)
}

#[native_handler]
fn list(Json(list): Json<Vec<i64>>) -> Json<Vec<i64>> {
    Json(list)
}

#[native_handler]
fn dict(Json(dict): Json<BTreeMap<String, i64>>) -> Json<BTreeMap<String, i64>> {
    Json(dict)
}

#[native_handler]
fn optional(item: Option<Json<Item>>) -> Json<Option<Item>> {
    Json(item.map(|Json(item)| item))
}

#[native_handler]
fn limited(Json(item): Json<Limited>) -> Json<Limited> {
    Json(item)
}

// The body first: errors come in FastAPI's order all the same.
#[native_handler]
fn all(Json(item): Json<Item>, Query(z): Query<bool>, Path(user_id): Path<i64>) -> Json<(i64, bool, Item)> {
    Json((user_id, z, item))
}

bimetal::plugin! { name: "twin" }

/// One line of `answers.jsonl`.
#[derive(Deserialize, Debug)]
struct Case {
    method: String,
    target: String,
    content_type: Option<String>,
    body: String,
    status: u32,
    answer: String,
}

#[test]
fn native_handlers_answer_as_fastapi_does() {
    let recorded = include_str!("fastapi/answers.jsonl");
    let mut different = Vec::new();
    for line in recorded.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let (path, query) = case.target.split_once('?').unwrap_or((&case.target, ""));
        let mut segments = path.trim_start_matches('/').split('/');
        let name = format!("twin.{}", segments.next().unwrap());
        let param = segments.next().map(|text| text.replace("%20", " ").replace("%2B", "+"));
        let answer = call(&Call {
            handler: &name,
            method: &case.method,
            path,
            query,
            params: &param.iter().map(String::as_str).collect::<Vec<_>>(),
            content_type: case.content_type.as_deref(),
            headers: &[],
            body: case.body.as_bytes(),
            ..Call::default()
        });
        if (answer.status, answer.text()) != (case.status, &*case.answer) {
            different.push(format!(
                "{} {} {:?} {}\n  FastAPI: {} {}\n  native:  {} {}",
                case.method,
                case.target,
                case.content_type,
                case.body,
                case.status,
                case.answer,
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(recorded.lines().count() > 100);
    assert!(different.is_empty(), "{} answers differ:\n{}", different.len(), different.join("\n"));
}
