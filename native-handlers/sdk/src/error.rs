//! Errors a handler answers with.

use std::fmt;

use serde::Serialize;

use crate::describe::Operation;
use crate::response::{IntoResponse, Response, ResponseWriter};

/// An error with a status code and a detail, answered as FastAPI answers its `HTTPException`: `{"detail": ...}`.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn secret() -> Result<Json<i64>, HttpError> {
///     Err(HttpError::unauthorized("Not authenticated").header("www-authenticate", "Bearer"))
/// }
/// ```
#[derive(Debug)]
pub struct HttpError {
    status: u16,
    /// JSON.
    detail: String,
    headers: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Body<'a, T: Serialize + ?Sized> {
    detail: &'a T,
}

impl HttpError {
    /// An error with this status code; the detail is a text.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::new(418, "I am a teapot").status(), 418);
    /// ```
    pub fn new(status: u16, detail: impl Into<String>) -> HttpError {
        HttpError::with_detail(status, &detail.into())
    }

    /// An error with this status code; the detail is any JSON.
    ///
    /// ```
    /// let limits = [1, 100];
    /// assert_eq!(bimetal::HttpError::with_detail(400, &limits).to_string(), r#"400 {"detail":[1,100]}"#);
    /// ```
    pub fn with_detail<T: Serialize + ?Sized>(status: u16, detail: &T) -> HttpError {
        match sonic_rs::to_string(&Body { detail }) {
            Ok(detail) => HttpError { status, detail, headers: Vec::new() },
            Err(error) => {
                crate::log::error(format_args!("the detail of an error could not be written: {error}"));
                HttpError {
                    status: 500,
                    detail: r#"{"detail":"Internal Server Error"}"#.to_owned(),
                    headers: Vec::new(),
                }
            }
        }
    }

    /// 400: the request makes no sense.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::bad_request("the dates are in the wrong order").status(), 400);
    /// ```
    pub fn bad_request(detail: impl Into<String>) -> HttpError {
        HttpError::new(400, detail)
    }

    /// 401: the client has to say who it is.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::unauthorized("Not authenticated").status(), 401);
    /// ```
    pub fn unauthorized(detail: impl Into<String>) -> HttpError {
        HttpError::new(401, detail)
    }

    /// 403: the client may not do this.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::forbidden("not yours").status(), 403);
    /// ```
    pub fn forbidden(detail: impl Into<String>) -> HttpError {
        HttpError::new(403, detail)
    }

    /// 404: there is no such thing.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::not_found("no such user").status(), 404);
    /// ```
    pub fn not_found(detail: impl Into<String>) -> HttpError {
        HttpError::new(404, detail)
    }

    /// 409: the request contradicts how things are now.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::conflict("there is one of that name").status(), 409);
    /// ```
    pub fn conflict(detail: impl Into<String>) -> HttpError {
        HttpError::new(409, detail)
    }

    /// 500: this side failed. The detail is sent to the client.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::internal("the index is gone").status(), 500);
    /// ```
    pub fn internal(detail: impl Into<String>) -> HttpError {
        HttpError::new(500, detail)
    }

    /// 503: not now.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::unavailable("try again later").status(), 503);
    /// ```
    pub fn unavailable(detail: impl Into<String>) -> HttpError {
        HttpError::new(503, detail)
    }

    /// The same error with one header field more.
    ///
    /// ```
    /// use bimetal::HttpError;
    ///
    /// let error = HttpError::unavailable("try again later").header("retry-after", "5");
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> HttpError {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The status code.
    ///
    /// ```
    /// assert_eq!(bimetal::HttpError::new(410, "gone").status(), 410);
    /// ```
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.detail)
    }
}

impl std::error::Error for HttpError {}

impl IntoResponse for HttpError {
    fn describe(_operation: &mut Operation) {}

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        let answer =
            Response::new(self.status).body(self.detail.into_bytes()).content_type("application/json");
        self.headers
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value))
            .into_response(response);
    }
}
