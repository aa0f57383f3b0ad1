//! Cross-origin requests: Starlette's `CORSMiddleware`.

use regex::bytes::{Regex, RegexBuilder};

use super::answer::plain_text;
use super::fields::{add_vary, set, strip, Fields};
use super::{Noted, RequestHead};
use crate::http::{header, HeaderName, HeaderValue, Response, StatusCode};
use crate::{Error, ErrorKind};

/// What `*` stands for in [`CorsOptions::allow_methods`].
pub const ALL_METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"];

/// Headers a page may always send.
const SAFELISTED: [&str; 4] = ["Accept", "Accept-Language", "Content-Language", "Content-Type"];

/// Everything by which a preflight can be answered differently.
const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";

const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Who may read what from other origins. The defaults allow nothing.
#[derive(Clone, Debug)]
pub struct CorsOptions {
    /// Origins, like `https://example.org`; `*` for all.
    pub allow_origins: Vec<String>,
    /// A regular expression for whole origins, in the syntax of the crate `regex`, over bytes.
    pub allow_origin_regex: Option<String>,
    /// Methods; `*` for [`ALL_METHODS`].
    pub allow_methods: Vec<String>,
    /// Header names; `*` for all.
    pub allow_headers: Vec<String>,
    /// Whether pages may send cookies and the like.
    pub allow_credentials: bool,
    /// Whether public pages may reach this server in a private network.
    pub allow_private_network: bool,
    /// Response headers that pages may read.
    pub expose_headers: Vec<String>,
    /// How long browsers may keep the answer to a preflight, in seconds: written as it is.
    pub max_age: String,
}

impl Default for CorsOptions {
    fn default() -> Self {
        CorsOptions {
            allow_origins: Vec::new(),
            allow_origin_regex: None,
            allow_methods: vec!["GET".to_owned()],
            allow_headers: Vec::new(),
            allow_credentials: false,
            allow_private_network: false,
            expose_headers: Vec::new(),
            max_age: "600".to_owned(),
        }
    }
}

/// Answers preflights and completes responses.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
    origin_regex: Option<Regex>,
    any_origin: bool,
    credentials: bool,
    methods: Vec<String>,
    /// In lower case.
    headers: Vec<String>,
    any_header: bool,
    private_network: bool,
    /// What every response to a cross-origin request gets.
    simple: Fields,
    /// What every answer to a preflight has.
    preflight: Fields,
}

impl Cors {
    /// An error of kind `Config` names the option that cannot be sent in a header or is not a regular expression.
    pub fn new(options: CorsOptions) -> Result<Cors, Error> {
        let any = |list: &[String]| list.iter().any(|item| item == "*");
        let (any_origin, any_header) = (any(&options.allow_origins), any(&options.allow_headers));
        let mut methods = options.allow_methods;
        if any(&methods) {
            methods = ALL_METHODS.map(str::to_owned).to_vec();
        }
        let mut headers: Vec<String> =
            SAFELISTED.into_iter().map(str::to_owned).chain(options.allow_headers).collect();
        headers.sort();
        headers.dedup();

        let (star, yes) = (HeaderValue::from_static("*"), HeaderValue::from_static("true"));
        let mut simple = Fields::new();
        let mut preflight = vec![(header::VARY, HeaderValue::from_static(PREFLIGHT_VARY))];
        if any_origin {
            simple.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, star.clone()));
            if !options.allow_credentials {
                preflight.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, star));
            }
        }
        preflight.push((header::ACCESS_CONTROL_ALLOW_METHODS, value("allow_methods", &methods.join(", "))?));
        preflight.push((header::ACCESS_CONTROL_MAX_AGE, value("max_age", &options.max_age)?));
        if !any_header {
            preflight
                .push((header::ACCESS_CONTROL_ALLOW_HEADERS, value("allow_headers", &headers.join(", "))?));
        }
        if options.allow_credentials {
            simple.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes.clone()));
            preflight.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes));
        }
        if !options.expose_headers.is_empty() {
            let exposed = value("expose_headers", &options.expose_headers.join(", "))?;
            simple.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed));
        }
        Ok(Cors {
            origins: options.allow_origins,
            origin_regex: options.allow_origin_regex.as_deref().map(whole).transpose()?,
            any_origin,
            credentials: options.allow_credentials,
            methods,
            headers: headers.iter().map(|name| name.to_lowercase()).collect(),
            any_header,
            private_network: options.allow_private_network,
            simple,
            preflight: preflight.into(),
        })
    }

    /// Answers a preflight.
    pub fn before(&self, head: &impl RequestHead) -> Option<Response> {
        if head.method() != "OPTIONS" || head.is_websocket() {
            return None;
        }
        let origin = head.header("origin")?;
        let method = head.header("access-control-request-method")?;
        let (mut fields, mut failures) = (self.preflight.clone(), Vec::new());
        if !self.allows(origin) {
            failures.push("origin");
        } else if !self.any_origin || self.credentials {
            echo(&mut fields, &header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if !self.methods.iter().any(|allowed| allowed.as_bytes() == method) {
            failures.push("method");
        }
        if let Some(requested) = head.header("access-control-request-headers") {
            if self.any_header {
                echo(&mut fields, &header::ACCESS_CONTROL_ALLOW_HEADERS, requested);
            } else if !requested.split(|&byte| byte == b',').all(|name| self.allows_header(name)) {
                failures.push("headers");
            }
        }
        if head.header("access-control-request-private-network").is_some() {
            if self.private_network {
                set(&mut fields, &ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
            } else {
                failures.push("private-network");
            }
        }
        Some(if failures.is_empty() {
            plain_text(StatusCode::OK, fields, "OK".to_owned())
        } else {
            plain_text(StatusCode::BAD_REQUEST, fields, format!("Disallowed CORS {}", failures.join(", ")))
        })
    }

    /// Completes a response: who may read it, and on what that depends.
    pub fn after(&self, noted: &Noted, mut response: Response) -> Response {
        let fields = &mut response.headers;
        if let Some(origin) = &noted.origin {
            for (name, value) in &self.simple {
                set(fields, name, value.clone());
            }
            let explicit = if self.any_origin { self.credentials } else { self.allows(origin.as_bytes()) };
            if explicit {
                set(fields, &header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
        add_vary(fields, "Origin");
        response
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.any_origin
            || self.origin_regex.as_ref().is_some_and(|regex| regex.is_match(origin))
            || self.origins.iter().any(|allowed| allowed.as_bytes() == origin)
    }

    fn allows_header(&self, name: &[u8]) -> bool {
        let name = strip(name);
        self.headers.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Sends back what the request said.
fn echo(fields: &mut Fields, name: &HeaderName, value: &[u8]) {
    // It was a header value when it came.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        set(fields, name, value);
    }
}

fn value(option: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Config, format!("{option}: {text:?} cannot be sent in a header"))
            .with_cause(error)
    })
}

/// A regular expression that has to match all of a text.
fn whole(pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).unicode(false).build().map_err(|error| {
        Error::new(ErrorKind::Config, format!("allow_origin_regex {pattern:?}: {error}")).with_cause(error)
    })
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
