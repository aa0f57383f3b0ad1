//! Responses with a status code and header fields around them.

use std::borrow::Cow;

use super::{IntoResponse, ResponseWriter};
use crate::describe::Operation;

/// What a header's name and value can be.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn counted() -> ([(&'static str, String); 1], Json<Vec<i64>>) {
///     let list = vec![1, 2, 3];
///     ([("x-count", list.len().to_string())], Json(list))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the name or value of a header",
    label = "has header fields that are no text",
    note = "a header's name and value are `&'static str` or `String`: write \
            `-> ([(&'static str, String); 1], T)` and `value.to_string()`"
)]
pub trait HeaderText: Into<String> {}

impl HeaderText for &'static str {}

impl HeaderText for String {}

impl HeaderText for Cow<'static, str> {}

/// The same response with another status code.
impl<T: IntoResponse> IntoResponse for (u16, T) {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        self.1.into_response(response);
        // A response that failed on its way keeps the status that says so.
        if !response.has_failed() {
            response.set_status(self.0);
        }
    }
}

/// The same response with more header fields.
impl<N: HeaderText, V: HeaderText, T: IntoResponse, const COUNT: usize> IntoResponse
    for ([(N, V); COUNT], T)
{
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        let (fields, inner) = self;
        inner.into_response(response);
        response.add_headers(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
    }
}

/// The same response with another status code and more header fields.
impl<N: HeaderText, V: HeaderText, T: IntoResponse, const COUNT: usize> IntoResponse
    for (u16, [(N, V); COUNT], T)
{
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        let (status, fields, inner) = self;
        (status, (fields, inner)).into_response(response);
    }
}
