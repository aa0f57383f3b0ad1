//! Calls of routes of the same server, whichever lane they are on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::slice;
use std::task::{ready, Context, Poll};

use bimetal_abi::{
    BmCall, BmHeader, BmReply, BmSlice, CALL_CUT_SHORT, CALL_INVALID, CALL_OK, CALL_STOPPED, CALL_TIMED_OUT,
    CALL_TOO_DEEP, CALL_TOO_LARGE, CALL_UPGRADE, RESULT_OK, RESULT_PENDING,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::describe::Operation;
use crate::response::{IntoResponse, ResponseWriter};
use crate::task::Task;
use crate::{current, host, HttpError};

/// Calls a route of the same server, without a socket: a Python route, another native one, whatever answers this method and
/// path. The request passes what one from outside passes: the server's edge, the application's middleware, dependencies,
/// validation; what it is not given (a cookie, an `authorization` header) it does not have. `target` is path and query,
/// percent-encoded.
///
/// Any status is an answer, a 404 or the 500 of a Python exception as well; an error means that there is none. The call begins
/// at once and is cancelled, as if a client had gone away, when what this returns is dropped, and at the deadline of the
/// calling handler. Routes may call routes 8 deep. To be called in an async handler, on the thread it runs on; in a blocking
/// one use [`call_route_blocking`].
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// async fn price_in(Path(currency): Path<String>) -> Result<String, HttpError> {
///     let rates = bimetal::call_route("GET", "/rates", &[("accept", "application/json")], "").await?;
///     let rates: std::collections::HashMap<String, f64> = rates.json()?;
///     let rate = rates.get(&currency).ok_or_else(|| HttpError::not_found("No such currency"))?;
///     Ok(format!("{:.2}", 100.0 * rate))
/// }
/// ```
pub fn call_route(method: &str, target: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> RouteCall {
    RouteCall { state: begin(method, target, headers, body.as_ref()) }
}

/// As [`call_route`], but waits for the answer: for `#[native_handler(blocking)]`.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler(blocking)]
/// fn report() -> Result<RouteResponse, HttpError> {
///     let orders = bimetal::call_route_blocking("POST", "/orders/search", &[], r#"{"year": 2025}"#)?;
///     Ok(orders)
/// }
/// ```
pub fn call_route_blocking(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Result<RouteResponse, CallError> {
    match begin(method, target, headers, body.as_ref()) {
        State::Refused(error) => Err(error.unwrap_or_else(CallError::polled_again)),
        State::Called(mut task) => match task.wait() {
            RESULT_PENDING => Err(CallError::of(
                CallErrorKind::Outside,
                "call_route_blocking was called on an I/O worker, which must not wait; write `#[native_handler(blocking)]`, or \
                 `call_route(..).await` in an async handler",
            )),
            _ => task.reply(read),
        },
    }
}

fn begin(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> State {
    let refused = |kind, text: &str| State::Refused(Some(CallError::of(kind, text)));
    let Some(ctx) = current::context() else {
        return refused(
            CallErrorKind::Outside,
            "a route was called outside of an async or blocking handler; call it on the handler's own thread",
        );
    };
    let Some(call) = host::table().and_then(|host| host.call_route) else {
        return refused(
            CallErrorKind::Unsupported,
            "this server calls no routes for plugins; update Bimetal",
        );
    };
    let fields: Vec<BmHeader> = headers
        .iter()
        .map(|(name, value)| BmHeader { name: BmSlice::borrow_str(name), value: BmSlice::borrow_str(value) })
        .collect();
    let wanted = BmCall {
        size: size_of::<BmCall>() as u32,
        n_headers: fields.len() as u32,
        method: BmSlice::borrow_str(method),
        target: BmSlice::borrow_str(target),
        headers: fields.as_ptr(),
        body: BmSlice::borrow(body),
    };
    let mut place = ptr::null_mut();
    // SAFETY: the host's function with the context of a request that is borrowed; the call lives through it.
    let called = unsafe { call(ctx, &wanted, &mut place) };
    match Task::new(place).filter(|_| called == RESULT_OK) {
        Some(task) => State::Called(task),
        None => refused(CallErrorKind::Stopped, "the server does not serve"),
    }
}

/// The answer of a route, to be awaited.
#[must_use = "a call that is dropped is cancelled: write `.await`"]
pub struct RouteCall {
    state: State,
}

enum State {
    Called(Task),
    Refused(Option<CallError>),
}

impl Future for RouteCall {
    type Output = Result<RouteResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().state {
            State::Called(task) => {
                ready!(task.poll(cx));
                Poll::Ready(task.reply(read))
            }
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or_else(CallError::polled_again))),
        }
    }
}

impl fmt::Debug for RouteCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteCall").finish_non_exhaustive()
    }
}

/// A copy of what the host says of a call that has ended.
fn read(reply: &BmReply) -> Result<RouteResponse, CallError> {
    let kind = match reply.failure {
        CALL_OK => {
            let fields: &[BmHeader] = match reply.n_headers {
                0 => &[],
                // SAFETY: the host lists so many, valid until the task is dropped.
                count => unsafe { slice::from_raw_parts(reply.headers, count as usize) },
            };
            // SAFETY: the same for what they point to.
            let text = |slice: BmSlice| unsafe { slice.text() }.unwrap_or_default().to_owned();
            // SAFETY: the same.
            let bytes = |slice: BmSlice| unsafe { slice.bytes() }.unwrap_or_default();
            return Ok(RouteResponse {
                status: reply.status as u16,
                headers: fields.iter().map(|field| (text(field.name), bytes(field.value).to_vec())).collect(),
                body: Bytes::copy_from_slice(bytes(reply.body)),
            });
        }
        CALL_INVALID => CallErrorKind::Invalid,
        CALL_UPGRADE => CallErrorKind::Upgrade,
        CALL_TOO_DEEP => CallErrorKind::TooDeep,
        CALL_STOPPED => CallErrorKind::Stopped,
        CALL_TIMED_OUT => CallErrorKind::TimedOut,
        CALL_TOO_LARGE => CallErrorKind::TooLarge,
        CALL_CUT_SHORT => CallErrorKind::CutShort,
        _ => CallErrorKind::Other,
    };
    // SAFETY: the text is valid until the task is dropped.
    let message = unsafe { reply.error.text() }.filter(|text| !text.is_empty());
    Err(CallError::of(kind, message.unwrap_or("the server does not serve")))
}

/// What a route of the same server answered. Returned from a handler, it is sent on as it is.
#[derive(Clone, Debug)]
pub struct RouteResponse {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl RouteResponse {
    /// The status code.
    ///
    /// ```
    /// use bimetal::prelude::*;
    ///
    /// #[native_handler]
    /// async fn is_there(Path(id): Path<i64>) -> Result<Json<bool>, HttpError> {
    ///     let user = bimetal::call_route("GET", &format!("/users/{id}"), &[], "").await?;
    ///     Ok(Json(user.status() == 200))
    /// }
    /// ```
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a header, if it is there and text; `name` in any case.
    ///
    /// ```
    /// fn is_json(response: &bimetal::RouteResponse) -> bool {
    ///     response.header("content-type") == Some("application/json")
    /// }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Every header field: names in lower case and in no certain order, but those of one name in theirs.
    ///
    /// ```
    /// fn cookies(response: &bimetal::RouteResponse) -> usize {
    ///     response.headers().iter().filter(|(name, _)| name == "set-cookie").count()
    /// }
    /// ```
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The body.
    ///
    /// ```
    /// fn size(response: &bimetal::RouteResponse) -> usize {
    ///     response.body().len()
    /// }
    /// ```
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, read as JSON.
    ///
    /// ```
    /// fn ids(response: &bimetal::RouteResponse) -> Result<Vec<i64>, bimetal::CallError> {
    ///     response.json()
    /// }
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        sonic_rs::from_slice(&self.body).map_err(|error| {
            let line = error.to_string().lines().next().unwrap_or_default().to_owned();
            CallError::of(
                CallErrorKind::Body,
                &format!("the answer, of status {}, is not the JSON that was expected: {line}", self.status),
            )
        })
    }
}

impl IntoResponse for RouteResponse {
    fn describe(_operation: &mut Operation) {}

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        let (mut headers, mut content_type) = (Vec::with_capacity(self.headers.len()), None);
        for (name, value) in self.headers {
            let Ok(value) = String::from_utf8(value) else {
                return response.fail(&format!("the header field `{name}` of the called route is not text"));
            };
            match &*name {
                "content-type" => content_type = Some(value),
                // The server writes it.
                "content-length" => {}
                _ => headers.push((name, value)),
            }
        }
        response.set_status(self.status);
        response.set_headers(headers, content_type);
        response.write_owned(self.body);
    }
}

/// Why a call of a route has no answer, or not the one that was expected.
///
/// As an [`HttpError`] (with `?`) it is logged, and is a 504 after the deadline, a 503 where the server ends, a 502 where the
/// answer cannot be used, and a 500 otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    kind: CallErrorKind,
    message: String,
}

/// What went wrong with a call of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// Method, target or a header field is not valid in HTTP.
    Invalid,
    /// It asks for a WebSocket or another protocol, which only a connection can become.
    Upgrade,
    /// Too many routes have called one another.
    TooDeep,
    /// The server ends, or the handler is not bound to one.
    Stopped,
    /// There was no answer by the deadline of the calling handler.
    TimedOut,
    /// The answer is larger than the server allows.
    TooLarge,
    /// The answer ended before it was whole.
    CutShort,
    /// The body of the answer is not what was expected.
    Body,
    /// The call was made outside of a handler, or where nothing may wait.
    Outside,
    /// The server is older than this version of the crate and calls no routes.
    Unsupported,
    /// Something that this version of the crate does not know.
    Other,
}

impl CallError {
    fn of(kind: CallErrorKind, message: &str) -> CallError {
        CallError { kind, message: message.to_owned() }
    }

    fn polled_again() -> CallError {
        CallError::of(CallErrorKind::Other, "a call that has ended was polled again")
    }

    /// What went wrong, for a caller that has to tell cases apart.
    ///
    /// ```
    /// use bimetal::{CallError, CallErrorKind};
    ///
    /// fn is_worth_another_try(error: &CallError) -> bool {
    ///     error.kind() == CallErrorKind::TimedOut
    /// }
    /// ```
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for HttpError {
    fn from(error: CallError) -> HttpError {
        crate::log::error(format_args!("a call of a route failed: {error}"));
        match error.kind {
            CallErrorKind::TimedOut => HttpError::new(504, "The handler did not answer in time"),
            CallErrorKind::Stopped => HttpError::unavailable("The server is ending"),
            CallErrorKind::TooLarge | CallErrorKind::CutShort | CallErrorKind::Body => {
                HttpError::new(502, "Bad Gateway")
            }
            _ => HttpError::internal("Internal Server Error"),
        }
    }
}
