//! Extractors: arguments of a handler, read from the request.

mod body;
mod fields;
mod json;
mod parts;
mod path;
mod query;
mod rejection;
mod state;

pub use json::Json;
pub use parts::RequestParts;
pub use path::Path;
pub use query::Query;
pub(crate) use rejection::Source;
pub use rejection::{reject, Rejection};
pub use state::State;

use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// A type a handler can take as an argument. The extractors of this crate implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a request",
    label = "not an extractor",
    note = "a handler takes `Path<T>`, `Query<T>`, `Json<T>`, `State<T>`, `RequestParts`, `Bytes`, `&[u8]`, `Option<Json<T>>` or \
            `ServerState`: write `Path(id): Path<i64>` for a path parameter, `Query(page): Query<i64>` for a query parameter, \
            `Json(item): Json<Item>` for a JSON body",
    note = "the `T` of `Path`, `Query` and `Json` derives `Deserialize` and `JsonSchema`, that of `State` derives `Clone`"
)]
pub trait FromRequest<'r>: Sized {
    /// Adds what it reads to the handler's description; called once, when the plugin is loaded.
    #[doc(hidden)]
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot;

    /// Reads it.
    #[doc(hidden)]
    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection>;
}
