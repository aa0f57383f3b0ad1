//! JSON that is the same at every request.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::Serialize;

use super::{IntoResponse, ResponseWriter, JSON};
use crate::describe::Operation;

/// A JSON response that never changes: serialized at its first use, sent without a copy from then on.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Serialize, JsonSchema)]
/// struct Version {
///     major: u32,
///     name: &'static str,
/// }
///
/// static VERSION: Constant<Version> = Constant::new(|| Version { major: 2, name: "orders" });
///
/// #[native_handler]
/// fn version() -> &'static Constant<Version> {
///     &VERSION
/// }
/// ```
#[derive(Debug)]
pub struct Constant<T> {
    value: fn() -> T,
    json: OnceLock<Result<Box<[u8]>, String>>,
}

impl<T> Constant<T> {
    /// The JSON of what `value` gives. It is called once, by the first request; a value that cannot be serialized is logged and
    /// answered with 500 each time.
    pub const fn new(value: fn() -> T) -> Constant<T> {
        Constant { value, json: OnceLock::new() }
    }
}

impl<T: Serialize + JsonSchema> IntoResponse for &'static Constant<T> {
    fn describe(operation: &mut Operation) {
        operation.json_response::<T>();
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        let json = self.json.get_or_init(|| {
            let json = sonic_rs::to_vec(&(self.value)()).map_err(|error| error.to_string())?;
            Ok(json.into_boxed_slice())
        });
        match json {
            Ok(json) => {
                response.set_content_type(JSON);
                response.write_static(json);
            }
            Err(reason) => response.fail(reason),
        }
    }
}
