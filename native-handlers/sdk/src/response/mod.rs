//! Responses: what a handler can return.

mod builder;
mod constant;
mod headers;
mod json;
mod redirect;
mod stream;
mod writer;

pub use builder::Response;
pub use constant::Constant;
pub use headers::HeaderText;
pub use redirect::Redirect;
pub use stream::Body;
pub use writer::ResponseWriter;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use crate::describe::Operation;
use crate::extract::Json;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// A type a handler can return.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn parity(Path(number): Path<i64>) -> Result<(u16, Json<bool>), HttpError> {
///     match number {
///         0 => Err(HttpError::bad_request("zero is not allowed")),
///         number => Ok((203, Json(number % 2 == 0))),
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned from a native handler",
    label = "not a response",
    note = "a handler returns `Json<T>`, `&'static Constant<T>`, `&'static str`, `String`, `Bytes`, `Vec<u8>`, `()`, `Redirect`, `Response`, `Body`, \
            `(u16, T)` with a status code, `([(name, value)], T)` with header fields, or `Result<T, HttpError>`: write `-> Json<{Self}>` to send JSON",
    note = "the `T` of `Json` and `Constant` derives `Serialize` and `JsonSchema`"
)]
pub trait IntoResponse: Sized {
    /// Adds the response to the handler's description; called once, when the plugin is loaded.
    #[doc(hidden)]
    fn describe(operation: &mut Operation);

    /// Writes the response.
    #[doc(hidden)]
    fn into_response(self, response: &mut ResponseWriter<'_>);
}

impl<T: Serialize + JsonSchema> IntoResponse for Json<T> {
    fn describe(operation: &mut Operation) {
        operation.json_response::<T>();
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(JSON);
        response.write_json(&self.0);
    }
}

impl IntoResponse for &'static str {
    fn describe(operation: &mut Operation) {
        operation.plain_response(TEXT);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(TEXT);
        response.write_static(self.as_bytes());
    }
}

impl IntoResponse for String {
    fn describe(operation: &mut Operation) {
        operation.plain_response(TEXT);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(TEXT);
        response.write_owned(self.into_bytes());
    }
}

impl IntoResponse for Vec<u8> {
    fn describe(operation: &mut Operation) {
        operation.plain_response(BYTES);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(BYTES);
        response.write_owned(self);
    }
}

impl IntoResponse for Bytes {
    fn describe(operation: &mut Operation) {
        operation.plain_response(BYTES);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(BYTES);
        response.write_owned(self);
    }
}

impl IntoResponse for &'static [u8] {
    fn describe(operation: &mut Operation) {
        operation.plain_response(BYTES);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        response.set_content_type(BYTES);
        response.write_static(self);
    }
}

/// No body and no content type.
impl IntoResponse for () {
    fn describe(operation: &mut Operation) {
        operation.empty_response();
    }

    fn into_response(self, _response: &mut ResponseWriter<'_>) {}
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        match self {
            Ok(value) => value.into_response(response),
            Err(error) => error.into_response(response),
        }
    }
}
