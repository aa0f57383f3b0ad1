//! The body as it is.

use bytes::Bytes;

use super::{FromRequest, Rejection};
use crate::describe::{Argument, Operation, Slot};
use crate::Request;

/// The whole body, borrowed.
impl<'r> FromRequest<'r> for &'r [u8] {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.raw_body()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(request.body())
    }
}

/// The whole body, copied.
impl<'r> FromRequest<'r> for Bytes {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.raw_body()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(Bytes::copy_from_slice(request.body()))
    }
}

/// The whole body, borrowed; `None` where it is empty.
impl<'r> FromRequest<'r> for Option<&'r [u8]> {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.raw_body()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(Some(request.body()).filter(|body| !body.is_empty()))
    }
}

/// The whole body, copied; `None` where it is empty.
impl<'r> FromRequest<'r> for Option<Bytes> {
    fn describe(_argument: &Argument, operation: &mut Operation) -> Slot {
        operation.raw_body()
    }

    fn from_request(request: Request<'r>, slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(Option::<&[u8]>::from_request(request, slot)?.map(Bytes::copy_from_slice))
    }
}
