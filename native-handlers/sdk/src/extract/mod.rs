//! Extractors: arguments of a handler, read from the request.

mod body;
mod cookie;
mod fields;
mod form;
mod header;
mod json;
mod multipart;
mod parts;
mod path;
mod query;
mod rejection;
mod state;

pub use cookie::Cookie;
pub(crate) use fields::is_list;
pub use form::Form;
pub(crate) use header::header_name;
pub use header::Header;
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
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn search(
///     Path(shop): Path<String>,
///     Query(text): Query<String>,
///     page: Option<Query<i64>>,
///     Header(accept_language): Header<Option<String>>,
/// ) -> String {
///     let page = page.map_or(1, |Query(page)| page);
///     format!("{text} in {shop}, page {page}, in {}", accept_language.unwrap_or_default())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a request",
    label = "not an extractor",
    note = "a handler takes `Path<T>`, `Query<T>`, `Header<T>`, `Cookie<T>`, `Form<T>`, `Json<T>`, `State<T>`, `RequestParts`, \
            `Bytes`, `&[u8]`, `ServerState`, `Deadline`, or an `Option` of `Query`, `Header`, `Cookie`, `Form`, `Json`, `Bytes` and `&[u8]`: \
            write `Path(id): Path<i64>` for a path parameter, `Query(page): Query<i64>` for a query parameter, \
            `Header(x_token): Header<String>` for `X-Token`, `Json(item): Json<Item>` for a JSON body",
    note = "the `T` of `Path`, `Query`, `Header`, `Cookie`, `Form` and `Json` derives `Deserialize` and `JsonSchema`, that of \
            `State` derives `Clone`"
)]
pub trait FromRequest<'r>: Sized {
    /// Adds what it reads to the handler's description; called once, when the plugin is loaded.
    #[doc(hidden)]
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot;

    /// Reads it.
    #[doc(hidden)]
    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection>;
}
