//! A handler that another one is behind, for clients that are within their rate.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;

use super::fields::Labels;
use super::key::{client, header, said, Who};
use super::{Fields, Key, Rate, RedisStore, Standing, Table};
use crate::http::{header as field, Collected, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::{Answer, BodyMode, Handler};

/// Who keeps the numbers of the clients.
#[derive(Clone)]
pub enum Store {
    /// Memory of this process, or of all processes on this machine.
    Memory(Arc<Table>),
    /// A Redis.
    Redis(Arc<RedisStore>),
}

/// One limit.
#[derive(Clone)]
pub struct Limit {
    /// What clients are told it is called: printable ASCII without quotes and backslashes.
    pub name: String,
    /// What tells it from other limits in the store: those of the same scope share their clients' quotas.
    pub scope: String,
    /// How often is often enough.
    pub rate: Rate,
    /// What is counted by.
    pub key: Key,
    /// Whether it is the one of a whole application. That has paths that are exempt from it, and does not count requests again that are made
    /// inside the process on behalf of one from outside.
    pub general: bool,
}

/// What all limits of a server have in common.
pub struct Limits {
    store: Store,
    fields: Fields,
    exempt: Exempt,
    refused: Mutex<Vec<(String, Arc<AtomicU64>)>>,
}

/// How often a route has refused requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The route's pattern.
    pub route: String,
    /// Requests that came too soon, since the start.
    pub count: u64,
}

/// Paths that are not limited.
#[derive(Default)]
struct Exempt {
    paths: HashSet<Box<str>>,
    beginnings: Vec<Box<str>>,
}

impl Limits {
    /// Limits with their numbers in `store`. The one of the whole application does not count requests to a path in `exempt`; one that ends with `*`
    /// stands for all that begin so.
    pub fn new(store: Store, fields: Fields, exempt: &[String]) -> Limits {
        let mut paths = Exempt::default();
        for path in exempt {
            match path.strip_suffix('*') {
                Some(beginning) => paths.beginnings.push(beginning.into()),
                None => {
                    paths.paths.insert(path.as_str().into());
                }
            }
        }
        Limits { store, fields, exempt: paths, refused: Mutex::default() }
    }

    /// A handler that calls `inner`, whose route wants the body as `body` says, for requests within `limit`. The route wants the body as the
    /// result says: it is read once the request is within its limit.
    pub fn guard(
        self: &Arc<Self>,
        limit: Limit,
        route: &str,
        body: BodyMode,
        inner: Arc<dyn Handler>,
    ) -> (BodyMode, Arc<dyn Handler>) {
        let gate = Gate {
            labels: Labels::new(self.fields, &limit.name, &limit.rate),
            refused: self.counter(route),
            limits: Arc::clone(self),
            limit,
            body,
            inner,
        };
        (BodyMode::Stream, Arc::new(Limited(Arc::new(gate))))
    }

    /// What routes have refused, in the order in which they were made; those that have refused nothing, too.
    pub fn refused(&self) -> Vec<Refused> {
        let of = |(route, count): &(String, Arc<AtomicU64>)| Refused {
            route: route.clone(),
            count: count.load(Ordering::Relaxed),
        };
        self.refused.lock().iter().map(of).collect()
    }

    /// Who keeps the numbers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// One for all routes of a pattern: a route that is made anew goes on counting.
    fn counter(&self, route: &str) -> Arc<AtomicU64> {
        let mut refused = self.refused.lock();
        if let Some((_, count)) = refused.iter().find(|(known, _)| known == route) {
            return Arc::clone(count);
        }
        let count = Arc::<AtomicU64>::default();
        refused.push((route.to_owned(), Arc::clone(&count)));
        count
    }
}

impl Exempt {
    fn has(&self, path: &str) -> bool {
        self.paths.contains(path) || self.beginnings.iter().any(|beginning| path.starts_with(&**beginning))
    }
}

/// A route behind its limit.
struct Limited(Arc<Gate>);

struct Gate {
    limits: Arc<Limits>,
    limit: Limit,
    labels: Labels,
    refused: Arc<AtomicU64>,
    body: BodyMode,
    inner: Arc<dyn Handler>,
}

/// What is decided of a request.
#[derive(Clone, Copy)]
enum Verdict {
    /// It is not counted.
    Uncounted,
    /// The client stands so.
    Counted(Standing),
    /// Nobody can tell how the client stands.
    Unknown,
}

impl Handler for Limited {
    fn call(&self, request: Request) -> Answer {
        let gate = &self.0;
        if gate.passes(&request) {
            return gate.enter(request, Verdict::Uncounted);
        }
        match &gate.limit.key {
            Key::Client => gate.ask(client(&request), request),
            Key::Header(name) => gate.ask(header(&request, name), request),
            Key::Computed(compute) => {
                let (key, gate) = (compute.key(&request), Arc::clone(gate));
                Answer::Later(Box::pin(async move {
                    let answer = match key.await {
                        Ok(Some(key)) => gate.ask(said(key.as_bytes()), request),
                        Ok(None) => gate.enter(request, Verdict::Uncounted),
                        Err(response) => gate.without_body(request, *response),
                    };
                    answer.settled().await
                }))
            }
        }
    }

    fn describe(&self) -> Option<String> {
        self.0.inner.describe()
    }
}

impl Gate {
    /// Whether the request is not looked at. A preflight is not made by the client, but by its browser, which takes a refusal for one of
    /// the request itself.
    fn passes(&self, request: &Request) -> bool {
        let preflight = || {
            request.header("origin").is_some() && request.header("access-control-request-method").is_some()
        };
        // What the cache asks for itself is on nobody's account.
        (*request.method() == Method::OPTIONS && preflight())
            || request.renews()
            || (self.limit.general && (request.errand_depth() > 0 || self.limits.exempt.has(request.path())))
    }

    fn ask(self: &Arc<Self>, who: Who, request: Request) -> Answer {
        let Limit { rate, scope, .. } = &self.limit;
        match &self.limits.store {
            Store::Memory(table) => {
                let standing = table.take(rate, table.hash(scope, &who));
                self.enter(request, Verdict::Counted(standing))
            }
            Store::Redis(redis) => {
                let (redis, gate) = (Arc::clone(redis), Arc::clone(self));
                Answer::Later(Box::pin(async move {
                    let standing = redis.take(&gate.limit.rate, &gate.limit.scope, &who).await;
                    let verdict = standing.map_or(Verdict::Unknown, Verdict::Counted);
                    gate.enter(request, verdict).settled().await
                }))
            }
        }
    }

    /// Has the request answered, or refuses it.
    fn enter(self: &Arc<Self>, request: Request, verdict: Verdict) -> Answer {
        match verdict {
            Verdict::Counted(standing) if !standing.allowed => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let mut response = Response::detail(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
                    .with_header(
                        field::RETRY_AFTER,
                        HeaderValue::from(self.limit.rate.retry_after(standing)),
                    );
                self.labels.add(&mut response, &self.limit.rate, standing);
                self.without_body(request, response)
            }
            Verdict::Unknown => {
                let detail = "Rate limits cannot be checked at the moment";
                let response = Response::detail(StatusCode::SERVICE_UNAVAILABLE, detail)
                    .with_header(field::RETRY_AFTER, HeaderValue::from_static("1"));
                self.without_body(request, response)
            }
            Verdict::Uncounted => self.inner_answer(request),
            Verdict::Counted(standing) => {
                let gate = Arc::clone(self);
                match self.inner_answer(request) {
                    Answer::Now(mut response) => {
                        gate.label(&mut response, standing);
                        Answer::Now(response)
                    }
                    Answer::Later(response) => Answer::Later(Box::pin(async move {
                        let mut response = response.await;
                        gate.label(&mut response, standing);
                        response
                    })),
                }
            }
        }
    }

    fn label(&self, response: &mut Response, standing: Standing) {
        // A WebSocket has begun: nobody reads its handshake for that.
        if response.status != StatusCode::SWITCHING_PROTOCOLS {
            self.labels.add(response, &self.limit.rate, standing);
        }
    }

    /// A response to a request whose body, if it has one, is not read any more.
    fn without_body(&self, mut request: Request, response: Response) -> Answer {
        if !request.has_payload() || request.is_websocket() {
            return Answer::Now(response);
        }
        request.abandon_body();
        Answer::Now(response.with_header(field::CONNECTION, HeaderValue::from_static("close")))
    }

    /// Calls the handler, after the body where it wants that.
    fn inner_answer(self: &Arc<Self>, mut request: Request) -> Answer {
        let has_body = !request.is_websocket() && request.has_payload();
        let reads = match self.body {
            BodyMode::Buffered | BodyMode::Ignored => true,
            BodyMode::BufferedUpTo(size) => request.declared_length().is_some_and(|length| length <= size),
            BodyMode::Stream => false,
        };
        if !has_body || !reads {
            return self.inner.call(request);
        }
        let gate = Arc::clone(self);
        Answer::Later(Box::pin(async move {
            let mut body = Collected::default();
            let mut incoming = request.take_incoming();
            loop {
                match incoming.chunk().await {
                    Some(Ok(_)) if gate.body == BodyMode::Ignored => {}
                    Some(Ok(chunk)) => body.push(chunk),
                    Some(Err(error)) => {
                        incoming.abandon();
                        let close = HeaderValue::from_static("close");
                        return Response::from(&error).with_header(field::CONNECTION, close);
                    }
                    None => break,
                }
            }
            request.set_body(body.finish());
            gate.inner.call(request).settled().await
        }))
    }
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
