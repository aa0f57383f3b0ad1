//! The attribute `#[native_handler]` of the crate `bimetal`, which re-exports it. Everything it writes goes through
//! `::bimetal::__private`.

mod expand;
mod options;
mod signature;

use proc_macro::TokenStream;

/// Makes a function a native handler.
///
/// The function stays as it is and can be called as before. Its arguments are extractors, its return value is a response;
/// anything else is a compile error that says what to write.
///
/// - `#[native_handler]`: the handler has the function's name, after that of the plugin: `hot.get_user`.
/// - `#[native_handler(name = "users.get")]`: it is called `hot.users.get`.
/// - `#[native_handler(blocking)]`: it may block and runs on a pool of threads; for functions that are not `async`.
/// - `#[native_handler(status = 201)]`: the status code of responses that set none themselves, and the one in the OpenAPI
///   document. A `status_code` of the Python stub must be the same.
/// - `#[native_handler(content_type = "text/csv")]`: that of a `Body` which names none, and the one in the OpenAPI document; for
///   handlers that return `Body`.
///
/// The doc comment is the route's description in the OpenAPI document.
#[proc_macro_attribute]
pub fn native_handler(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(options.into(), function.into()).into()
}
