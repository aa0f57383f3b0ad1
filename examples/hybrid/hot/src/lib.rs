//! The hot routes of the hybrid example: `hot.ping`, `hot.get_user`, `hot.create_item`, `hot.slow`, `hot.missing`.

use std::time::Duration;

use bimetal::prelude::*;

/// What the application may set where it loads the plugin: `app.load_plugin(path, config={"max_tags": 3})`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How many tags an item may have.
    #[serde(default = "Config::max_tags")]
    max_tags: usize,
}

impl Config {
    fn max_tags() -> usize {
        10
    }
}

/// What all requests share.
#[derive(Clone, Copy)]
struct Shop {
    max_tags: usize,
}

impl Shop {
    fn from_config(config: Config) -> Result<Shop, String> {
        if config.max_tags == 0 {
            return Err("max_tags is 0, and must be at least 1".to_owned());
        }
        Ok(Shop { max_tags: config.max_tags })
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

#[derive(Deserialize, Serialize, JsonSchema)]
struct Item {
    name: String,
    price: f64,
    #[serde(default)]
    tags: Vec<String>,
}

/// Adds an item.
#[native_handler]
fn create_item(State(shop): State<Shop>, Json(item): Json<Item>) -> Result<Json<Item>, HttpError> {
    if item.tags.len() > shop.max_tags {
        return Err(HttpError::bad_request(format!("An item has at most {} tags", shop.max_tags)));
    }
    Ok(Json(item))
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
