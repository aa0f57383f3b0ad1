//! The hot routes of the hybrid example: `hot.ping`, `hot.get_user`, `hot.create_item`, `hot.slow`, `hot.missing`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bimetal::prelude::*;

/// What the application may set where it loads the plugin: `app.load_plugin(path, config={"first_item": 100})`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The number of the first item created.
    #[serde(default = "Config::first_item")]
    first_item: i64,
}

impl Config {
    fn first_item() -> i64 {
        1
    }
}

/// What all requests share.
#[derive(Clone)]
struct Shop {
    next_item: Arc<AtomicI64>,
}

impl Shop {
    fn from_config(config: Config) -> Result<Shop, String> {
        if config.first_item < 1 {
            return Err(format!("first_item is {}, and must be at least 1", config.first_item));
        }
        Ok(Shop { next_item: Arc::new(AtomicI64::new(config.first_item)) })
    }
}

bimetal::plugin! { name: "hot", init: Shop::from_config }

/// Answers at once.
#[native_handler]
fn ping() -> &'static str {
    "pong"
}

#[derive(Deserialize, JsonSchema)]
struct GetUser {
    /// Whether to add the e-mail address.
    #[serde(default)]
    verbose: bool,
}

#[derive(Serialize, JsonSchema)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

/// A user by number.
#[native_handler]
fn get_user(Path(user_id): Path<i64>, Query(options): Query<GetUser>) -> Json<User> {
    let name = format!("user{user_id}");
    let email = options.verbose.then(|| format!("{name}@example.com"));
    Json(User { id: user_id, name, email })
}

#[derive(Deserialize, JsonSchema)]
struct NewItem {
    name: String,
    price: f64,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Item {
    id: i64,
    name: String,
    price: f64,
    tags: Vec<String>,
}

/// Adds an item.
#[native_handler]
fn create_item(State(shop): State<Shop>, Json(item): Json<NewItem>) -> (u16, Json<Item>) {
    let id = shop.next_item.fetch_add(1, Ordering::Relaxed);
    (201, Json(Item { id, name: item.name, price: item.price, tags: item.tags }))
}

#[derive(Serialize, JsonSchema)]
struct Waited {
    waited_ms: u64,
}

/// Waits a few milliseconds for a timer, while the worker answers other requests.
#[native_handler]
async fn slow() -> Json<Waited> {
    let waited_ms = 5;
    tokio::time::sleep(Duration::from_millis(waited_ms)).await;
    Json(Waited { waited_ms })
}

/// There is no such thing.
#[native_handler]
fn missing() -> Result<Json<User>, HttpError> {
    Err(HttpError::not_found("There is no such thing"))
}
