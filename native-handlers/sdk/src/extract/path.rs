//! Path parameters.

use std::borrow::Cow;
use std::ptr;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::fields::{extract, Fields};
use super::{FromRequest, Rejection, Source};
use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// Path parameters: one, several as a tuple, or a struct with a field for each.
///
/// A single one and those of a tuple are named by the pattern, so the route has to use the same names:
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn order(Path((user_id, order_id)): Path<(i64, String)>) -> String {
///     format!("{user_id}: {order_id}")
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<'r, T: DeserializeOwned + JsonSchema> FromRequest<'r> for Path<T> {
    fn describe(argument: &Argument, operation: &mut Operation) -> Slot {
        operation.path::<T>(argument)
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        extract(&Params { request, slot }, slot, Source::Path).map(Path)
    }
}

/// The path parameters of one extractor.
struct Params<'r> {
    request: Request<'r>,
    slot: &'r Slot,
}

impl Fields for Params<'_> {
    fn one(&self, name: &str) -> Option<Cow<'_, str>> {
        // It is nearly always asked for by the slot's own name.
        let index =
            self.slot.names.iter().position(|known| ptr::eq(known.as_str(), name) || known == name)?;
        Some(self.request.param(self.slot.first + index).into())
    }

    fn only(&self) -> Option<Cow<'_, str>> {
        Some(self.request.param(self.slot.first).into())
    }

    fn all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.one(name).into_iter().collect()
    }

    fn names(&self) -> Vec<Cow<'_, str>> {
        self.slot.names.iter().map(|name| name.as_str().into()).collect()
    }
}
