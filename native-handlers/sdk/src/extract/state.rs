//! The plugin's state.

use super::rejection::Kind;
use super::{FromRequest, Rejection};
use crate::describe::{Argument, Operation, Slot};
use crate::{HttpError, Request};

/// A clone of the state that the plugin's `init` made: keep what is expensive to clone behind an `Arc`.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Clone)]
/// struct Prices(std::sync::Arc<Vec<f64>>);
///
/// #[native_handler]
/// fn first_price(State(prices): State<Prices>) -> Result<Json<f64>, HttpError> {
///     prices.0.first().map(|price| Json(*price)).ok_or_else(|| HttpError::not_found("no price"))
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<'r, T: Clone + Send + Sync + 'static> FromRequest<'r> for State<T> {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.state::<T>()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        // The types were compared when the plugin was loaded.
        match request.state().and_then(|state| state.downcast_ref::<T>()) {
            Some(state) => Ok(State(state.clone())),
            None => Err(Rejection::new(Kind::Error(HttpError::new(500, "Internal Server Error")))),
        }
    }
}
