//! Redirects.

use super::{IntoResponse, Response, ResponseWriter};
use crate::describe::Operation;

/// Sends the client to another address.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn old_page(Path(name): Path<String>) -> Redirect {
///     Redirect::permanent(&format!("/pages/{name}"))
/// }
/// ```
///
/// The address is sent as Starlette's `RedirectResponse` sends it: what cannot stand in an address is escaped.
#[derive(Clone, Debug)]
pub struct Redirect {
    status: u16,
    location: String,
}

impl Redirect {
    /// 307: for now, with the same method and body. What `RedirectResponse(url)` does.
    ///
    /// ```
    /// let answer = bimetal::Redirect::temporary("/maintenance");
    /// ```
    pub fn temporary(location: &str) -> Redirect {
        Redirect::new(307, location)
    }

    /// 308: for good, with the same method and body.
    ///
    /// ```
    /// let answer = bimetal::Redirect::permanent("/v2/users");
    /// ```
    pub fn permanent(location: &str) -> Redirect {
        Redirect::new(308, location)
    }

    /// 303: on to a page to be read with GET, after a form was sent.
    ///
    /// ```
    /// let answer = bimetal::Redirect::see_other("/orders/7");
    /// ```
    pub fn see_other(location: &str) -> Redirect {
        Redirect::new(303, location)
    }

    /// With another status code: 301, 302.
    ///
    /// ```
    /// let answer = bimetal::Redirect::new(302, "https://example.com/");
    /// ```
    pub fn new(status: u16, location: &str) -> Redirect {
        Redirect { status, location: quoted(location) }
    }
}

impl IntoResponse for Redirect {
    fn describe(operation: &mut Operation) {
        operation.redirect_response();
    }

    fn into_response(self, response: &mut ResponseWriter<'_>) {
        Response::new(self.status).header("location", self.location).into_response(response);
    }
}

/// Percent escapes for everything but what Python's `quote(url, safe=":/%#?=@[]!$&'()*+,;")` leaves.
fn quoted(location: &str) -> String {
    const SAFE: &[u8] = b":/%#?=@[]!$&'()*+,;_.-~";
    let mut text = String::with_capacity(location.len());
    for byte in location.bytes() {
        if byte.is_ascii_alphanumeric() || SAFE.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn addresses_are_escaped_as_by_starlette() {
        for (location, sent) in [
            ("/a/b?x=1&y=%20#z", "/a/b?x=1&y=%20#z"),
            ("/ä b", "/%C3%A4%20b"),
            ("/x\r\nset-cookie: a", "/x%0D%0Aset-cookie:%20a"),
        ] {
            assert_eq!(quoted(location), sent);
        }
    }
}
