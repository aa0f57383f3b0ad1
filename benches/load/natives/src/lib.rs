//! The routes of the comparison as native handlers; `/health` is built in.

use bimetal::prelude::*;

bimetal::plugin! { name: "natives" }

/// A user made from a number.
#[derive(Serialize, JsonSchema)]
struct User {
    id: i64,
    name: String,
}

/// What was asked for.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Search {
    q: String,
    #[serde(default = "ten")]
    limit: i64,
}

fn ten() -> i64 {
    10
}

/// Something with a price.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Item {
    name: String,
    price: f64,
    #[serde(default)]
    tags: Vec<String>,
}

/// A typed path parameter.
#[native_handler]
fn user(Path(user_id): Path<i64>) -> Json<User> {
    Json(User { id: user_id, name: format!("user{user_id}") })
}

/// Two query parameters, one with a default.
#[native_handler]
fn search(Query(search): Query<Search>) -> Json<Search> {
    Json(search)
}

/// A JSON body, there and back.
#[native_handler]
fn item(Json(item): Json<Item>) -> Json<Item> {
    Json(item)
}
