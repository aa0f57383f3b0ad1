//! Header fields that have browsers be careful.

use super::fields::first;
use super::{Noted, RequestHead};
use crate::http::{header, HeaderName, HeaderValue, Response};
use crate::{Error, ErrorKind};

/// Adds header fields to every response that does not have them.
#[derive(Clone, Debug, Default)]
pub struct SecurityHeaders {
    fields: Vec<(HeaderName, HeaderValue)>,
    /// `Strict-Transport-Security`, which means something on encrypted connections only.
    transport: Option<HeaderValue>,
}

impl SecurityHeaders {
    /// Adds `fields`, name and value, in their order. `Strict-Transport-Security` is sent over encrypted connections alone.
    ///
    /// An error of kind `Config` names the field that cannot be sent.
    pub fn new(fields: &[(String, String)]) -> Result<SecurityHeaders, Error> {
        let mut headers = SecurityHeaders::default();
        for (name, value) in fields {
            let unfit = |what: &str| {
                Error::new(
                    ErrorKind::Config,
                    format!("security header {name:?}: {value:?} is no {what} in HTTP"),
                )
            };
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                Error::new(ErrorKind::Config, format!("{name:?} is no name of a header field"))
            })?;
            let value = HeaderValue::from_str(value).map_err(|_| unfit("value"))?;
            if field == header::STRICT_TRANSPORT_SECURITY {
                headers.transport = Some(value);
            } else {
                headers.fields.push((field, value));
            }
        }
        Ok(headers)
    }

    pub(super) fn note(&self, head: &impl RequestHead, noted: &mut Noted) {
        // Who is asked for it may have to read what a proxy says.
        noted.secure = self.transport.is_some() && head.is_secure();
    }

    /// Completes a response. What it has already stays.
    pub fn after(&self, noted: &Noted, mut response: Response) -> Response {
        for (name, value) in &self.fields {
            if first(&response.headers, name).is_none() {
                response.headers.push((name.clone(), value.clone()));
            }
        }
        if let Some(value) = self.transport.as_ref().filter(|_| noted.secure) {
            if first(&response.headers, &header::STRICT_TRANSPORT_SECURITY).is_none() {
                response.headers.push((header::STRICT_TRANSPORT_SECURITY, value.clone()));
            }
        }
        response
    }
}

#[cfg(test)]
#[path = "security_headers_tests.rs"]
mod tests;
