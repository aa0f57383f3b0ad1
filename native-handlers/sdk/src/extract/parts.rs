//! The request's head.

use std::time::Instant;

use super::{FromRequest, Rejection};
use crate::describe::{Argument, Operation, Slot};
use crate::{Deadline, Request, ServerState};

/// Method, path, query and headers of the request, looked up when asked for.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn agent(request: RequestParts<'_>) -> String {
///     format!("{} {}", request.method(), request.header("user-agent").unwrap_or("nobody"))
/// }
/// ```
#[derive(Clone, Copy)]
pub struct RequestParts<'r>(Request<'r>);

impl<'r> RequestParts<'r> {
    /// The method, `GET`.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn method(request: RequestParts<'_>) -> String {
    ///     request.method().to_owned()
    /// }
    /// ```
    pub fn method(&self) -> &'r str {
        self.0.method()
    }

    /// The path, percent escapes resolved.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn path(request: RequestParts<'_>) -> String {
    ///     request.path().to_owned()
    /// }
    /// ```
    pub fn path(&self) -> &'r str {
        self.0.path()
    }

    /// The query string as sent, without the question mark.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn query(request: RequestParts<'_>) -> String {
    ///     request.query().to_owned()
    /// }
    /// ```
    pub fn query(&self) -> &'r str {
        self.0.query()
    }

    /// The first value of a header, if it is there and text; `name` in any case.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn is_reload(request: RequestParts<'_>) -> Json<bool> {
    ///     Json(request.header("cache-control") == Some("no-cache"))
    /// }
    /// ```
    pub fn header(&self, name: &str) -> Option<&'r str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of a header; `name` in any case.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn length(request: RequestParts<'_>) -> Json<usize> {
    ///     Json(request.header_bytes("x-signature").map_or(0, <[u8]>::len))
    /// }
    /// ```
    pub fn header_bytes(&self, name: &str) -> Option<&'r [u8]> {
        self.0.header(name)
    }

    /// Every value of a header, in their order; `name` in any case.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn hops(request: RequestParts<'_>) -> String {
    ///     request.header_values("x-forwarded-for").len().to_string()
    /// }
    /// ```
    pub fn header_values(&self, name: &str) -> Vec<Vec<u8>> {
        let fields = self.0.headers().into_iter();
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The last cookie of this name, without quotes.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn theme(request: RequestParts<'_>) -> String {
    ///     request.cookie("theme").unwrap_or_else(|| "light".to_owned())
    /// }
    /// ```
    pub fn cookie(&self, name: &str) -> Option<String> {
        super::cookie::cookie(self.0, name)
    }

    /// When the answer is due; see [`Deadline`].
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler(blocking)]
    /// fn is_hurried(request: RequestParts<'_>) -> Json<bool> {
    ///     let soon = std::time::Instant::now() + std::time::Duration::from_secs(1);
    ///     Json(request.deadline().is_some_and(|due| due < soon))
    /// }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    pub(crate) fn request(&self) -> Request<'r> {
        self.0
    }

    /// Every header field: names in lower case and in no certain order, but those of one name in theirs.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// fn names(request: RequestParts<'_>) -> Json<Vec<String>> {
    ///     Json(request.headers().into_iter().map(|(name, _)| name).collect())
    /// }
    /// ```
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.0.headers()
    }
}

impl<'r> FromRequest<'r> for RequestParts<'r> {
    fn describe(_argument: &Argument, _operation: &mut Operation) -> Slot {
        Slot::default()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(RequestParts(request))
    }
}

impl<'r> FromRequest<'r> for Deadline {
    fn describe(_argument: &Argument, _operation: &mut Operation) -> Slot {
        Slot::default()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(Deadline(request.deadline()))
    }
}

impl<'r> FromRequest<'r> for ServerState {
    fn describe(_argument: &Argument, _operation: &mut Operation) -> Slot {
        Slot::default()
    }

    fn from_request(request: Request<'r>, _slot: &'r Slot) -> Result<Self, Rejection> {
        Ok(request.server_state())
    }
}
