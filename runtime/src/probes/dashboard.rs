//! A page for people, `/_bimetal/`: the routes with their lanes, and how they do, from one JSON document that it asks for
//! again and again. Off unless asked for.
//!
//! What it shows is what `/metrics` has, so it is right across workers; the routes are as the application has told them.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Source;
use crate::http::{header, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::{Answer, BodyMode, Handler, LaneKind};
use crate::routing::Route;

use super::figures;

/// One file, with its styles and its script; `NONCE` stands where each response has its own.
const PAGE: &str = include_str!("page.html");

/// What is served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dashboard {
    /// The same without its last slash leads there.
    Door,
    /// The page itself.
    Page,
    /// What it shows.
    Data,
}

impl Dashboard {
    /// All of it.
    pub const ALL: [Dashboard; 3] = [Dashboard::Door, Dashboard::Page, Dashboard::Data];

    /// Where it is found.
    pub fn path(self) -> &'static str {
        match self {
            Dashboard::Door => "/_bimetal",
            Dashboard::Page => "/_bimetal/",
            Dashboard::Data => "/_bimetal/data",
        }
    }

    /// Its route.
    pub fn route(self, source: Arc<dyn Source>) -> Route {
        let handler =
            DashboardHandler { of: self, source, key: RandomState::new(), pages: AtomicU64::new(0) };
        Route {
            pattern: self.path().to_owned(),
            methods: vec![Method::GET, Method::HEAD],
            lane: LaneKind::Native,
            body: BodyMode::Ignored,
            handler: Arc::new(handler),
        }
    }
}

struct DashboardHandler {
    of: Dashboard,
    source: Arc<dyn Source>,
    key: RandomState,
    pages: AtomicU64,
}

impl Handler for DashboardHandler {
    fn call(&self, request: Request) -> Answer {
        match self.of {
            Dashboard::Door => {
                let moved = Response::new(StatusCode::TEMPORARY_REDIRECT);
                Answer::Now(moved.with_header(header::LOCATION, HeaderValue::from_static("_bimetal/")))
            }
            Dashboard::Page => Answer::Now(self.page()),
            // Pages of other sites get nothing, whatever the application's own CORS says.
            Dashboard::Data if is_from_elsewhere(&request) => {
                Answer::Now(guarded(Response::detail(StatusCode::FORBIDDEN, "Only for the page beside it")))
            }
            Dashboard::Data => {
                let (metrics, routes) = (self.source.metrics(), self.source.routes());
                Answer::Later(Box::pin(async move {
                    let (Some(text), Some(routes)) = (metrics.await, routes.await) else {
                        return guarded(Response::detail(
                            StatusCode::SERVICE_UNAVAILABLE,
                            "The supervisor does not answer",
                        ));
                    };
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    guarded(Response::json(StatusCode::OK, figures::json(&text, &routes, now)))
                }))
            }
        }
    }
}

impl DashboardHandler {
    fn page(&self) -> Response {
        let number = self.pages.fetch_add(1, Ordering::Relaxed);
        let nonce = format!("{:016x}{:016x}", self.key.hash_one(number), self.key.hash_one((number, 1_u8)));
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let page = Response::new(StatusCode::OK)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with_body(PAGE.replace("NONCE", &nonce));
        let page = match HeaderValue::try_from(policy) {
            Ok(policy) => page.with_header(header::CONTENT_SECURITY_POLICY, policy),
            Err(_) => return Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        };
        guarded(page)
    }
}

/// Whether a browser says that another site asks.
fn is_from_elsewhere(request: &Request) -> bool {
    let site = request.header("sec-fetch-site");
    site.is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

fn guarded(response: Response) -> Response {
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    fields
        .into_iter()
        .fold(response, |response, (name, value)| response.with_header(name, HeaderValue::from_static(value)))
}
