//! Handlers that do next to nothing: what is measured is the way to them.

use bimetal::prelude::*;

bimetal::plugin! { name: "micro" }

/// What a probe answers.
#[derive(Serialize, JsonSchema)]
struct Status {
    status: &'static str,
}

static OK: Constant<Status> = Constant::new(|| Status { status: "ok" });

/// The same as the built-in `health`.
#[native_handler]
fn health() -> &'static Constant<Status> {
    &OK
}

/// The same, serialized for each request.
#[native_handler]
fn status() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// A number from the path.
#[derive(Serialize, JsonSchema)]
struct User {
    id: i64,
}

/// One typed path parameter.
#[native_handler]
fn user(Path(id): Path<i64>) -> Json<User> {
    Json(User { id })
}

/// Ready when it is first polled.
#[native_handler]
async fn ready() -> Json<Status> {
    Json(Status { status: "ok" })
}
