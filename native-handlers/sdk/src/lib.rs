//! Native handlers for [Bimetal](https://github.com/bimetal-rs/bimetal): Rust functions that answer routes of a FastAPI
//! application, or of a Rust program, without touching the interpreter.
//!
//! ```
//! use bimetal::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Options {
//!     #[serde(default)]
//!     verbose: bool,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct User {
//!     id: i64,
//!     name: String,
//! }
//!
//! /// A user by number.
//! #[native_handler]
//! async fn get_user(Path(user_id): Path<i64>, Query(options): Query<Options>) -> Result<Json<User>, HttpError> {
//!     if user_id < 0 {
//!         return Err(HttpError::not_found("User not found"));
//!     }
//!     let name = if options.verbose { format!("User number {user_id}") } else { format!("user{user_id}") };
//!     Ok(Json(User { id: user_id, name }))
//! }
//!
//! bimetal::plugin! { name: "hot" }
//! # fn main() {}
//! ```
//!
//! That is `hot.get_user`. Built as a `cdylib` it is a plugin to be loaded by path; linked into a program
//! ([`registry::plugins`], feature `static`) it is the same handler without a library.
//!
//! Requests that do not fit are answered with FastAPI's status and JSON: the same 422, the same words. A handler that
//! panics answers 500, and the server goes on.
//!
//! - A plain `fn` runs on the I/O worker and must not block; `#[native_handler(blocking)]` runs it on a pool of threads.
//! - An `async fn` is polled on the I/O worker. With the feature `tokio` the timers and sockets of tokio work in it.
//! - Arguments: [`Path`], [`Query`], [`Header`], [`Cookie`], [`Form`], [`Json`], [`State`], [`RequestParts`],
//!   [`ServerState`], [`Deadline`], `Bytes`, `&[u8]`, and an `Option` of those that may be absent.
//! - Return values: [`Json`], a [`Constant`], text, bytes, `()`, [`Redirect`], [`Response`], a [`Body`] that is streamed, a status code or
//!   header fields with any of these, `Result<_, HttpError>`.
//! - From the server: [`log`], [`metrics`], [`spawn_blocking`], and [`call_route`] for its other routes, Python ones above all.

mod blocking;
mod current;
mod describe;
mod entry;
mod error;
mod extract;
mod host;
pub mod metrics;
mod panics;
mod plugin;
pub mod prelude;
pub mod registry;
mod request;
mod response;
mod route;
mod runtime;
mod task;
mod validate;
mod waker;

pub use bimetal_macros::native_handler;
pub use blocking::{spawn_blocking, JoinError, JoinHandle};
pub use error::HttpError;
pub use extract::{Cookie, Form, FromRequest, Header, Json, Path, Query, Rejection, RequestParts, State};
pub use host::log;
pub use request::{Deadline, Request, ServerState};
pub use response::{Body, Constant, HeaderText, IntoResponse, Redirect, Response, ResponseWriter};
pub use route::{call_route, call_route_blocking, CallError, CallErrorKind, RouteCall, RouteResponse};

/// What the macros write. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use bimetal_abi::{BmHost, BmInit, BmPlugin, BmSlice};
    pub use inventory;

    pub use crate::describe::{Argument, Operation, Slot, StateType};
    pub use crate::entry::{call, call_blocking, future_layout, start, AsyncHandler, Outcome, SyncHandler};
    pub use crate::extract::{reject, FromRequest};
    pub use crate::plugin::{enter_init, no_init, run_init, state_type_of};
    pub use crate::registry::{exported_table, HandlerCall, HandlerEntry, PluginEntry};
    pub use crate::request::{AnyState, Request};
    pub use crate::response::{IntoResponse, ResponseWriter};
}
