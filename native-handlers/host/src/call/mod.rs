//! Calling a handler: on the I/O worker, on the blocking pool, or by polling its future.

mod clock;
mod flight;
mod frame;
mod lease;
mod limit;
mod metric;
mod response;
mod stream;
mod table;
mod task;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use bimetal_abi::{RESULT_OK, RESULT_PANIC};
use bimetal_runtime::breadcrumb::Breadcrumb;
use bimetal_runtime::http::{header, HeaderValue, StatusCode};
use bimetal_runtime::lane::Pool;
use bimetal_runtime::{Answer, BodyMode, Handler, Request, Response, ServerHandle};

use crate::host::Counters;
use crate::plugin::{self, CallFn, Entry, Plugin};
use crate::{HandlerInfo, HandlerKind, Readiness};
use frame::{Detached, Frame, Source};
use lease::Lease;

pub(crate) use limit::LogLimit;
pub(crate) use metric::all as metrics_text;
pub(crate) use table::{HOST, HOST_CAPS};

/// How long a handler of kind `blocking` or `async` may take, where nothing else is said.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// A native handler bound to a route: what a [`bimetal_runtime::RouteTable`] takes.
#[derive(Clone)]
pub struct NativeHandler {
    bound: Arc<Bound>,
}

/// Everything a call needs, looked up when the handler was bound.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) index: usize,
    /// For each path parameter the handler wants, its index in the route's path.
    pub(crate) order: Box<[usize]>,
    pub(crate) readiness: Readiness,
    /// The server whose routes it may call.
    pub(crate) server: Option<ServerHandle>,
    /// The route's path, for the log.
    pub(crate) route: Option<String>,
    /// The status code of responses that set none.
    pub(crate) status: u16,
    /// How long it may take, unless it is a sync handler, which nothing can end.
    pub(crate) deadline: Duration,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pool: Arc<Pool>,
}

/// What a handler did wrong.
enum Fault {
    Panicked,
    TimedOut,
    BadResponse(String),
}

impl NativeHandler {
    pub(crate) fn new(bound: Bound) -> Self {
        NativeHandler { bound: Arc::new(bound) }
    }

    /// The same handler; log lines about it name `pattern` as its route.
    pub fn with_route(self, pattern: impl Into<String>) -> NativeHandler {
        let mut bound = Arc::unwrap_or_clone(self.bound);
        bound.route = Some(pattern.into());
        NativeHandler::new(bound)
    }

    /// The same handler, whose responses have this status code (200 to 599) unless they set one: 200 without.
    pub fn with_status(self, status: u16) -> NativeHandler {
        let mut bound = Arc::unwrap_or_clone(self.bound);
        bound.status = status;
        NativeHandler::new(bound)
    }

    /// The same handler, answered for with 504 when a `blocking` or `async` one has no answer after `deadline`. The future of an
    /// `async` one is dropped then; a `blocking` one goes on until it returns, and its thread is missing until then.
    pub fn with_deadline(self, deadline: Duration) -> NativeHandler {
        let mut bound = Arc::unwrap_or_clone(self.bound);
        bound.deadline = deadline;
        NativeHandler::new(bound)
    }

    /// The same handler, which may call the routes of this server, the one that serves its route.
    pub fn with_server(self, server: ServerHandle) -> NativeHandler {
        let mut bound = Arc::unwrap_or_clone(self.bound);
        bound.server = Some(server);
        NativeHandler::new(bound)
    }

    /// How its route has to read the body.
    pub fn body_mode(&self) -> BodyMode {
        if self.bound.handler().reads_body {
            BodyMode::Buffered
        } else {
            BodyMode::Ignored
        }
    }

    /// What its plugin says about it.
    pub fn info(&self) -> &HandlerInfo {
        &self.bound.handler().info
    }

    /// How it answers.
    pub fn kind(&self) -> HandlerKind {
        self.info().kind
    }
}

impl fmt::Debug for NativeHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeHandler")
            .field("name", &self.info().name)
            .field("route", &self.bound.route)
            .finish()
    }
}

impl Handler for NativeHandler {
    fn call(&self, request: Request) -> Answer {
        match self.bound.handler().entry {
            Entry::Sync(call) => Answer::Now(self.bound.answer(call, Source::Live(&request), 0)),
            Entry::Blocking(call) => self.queue(call, &request),
            Entry::Async { start, future_size, future_align } => {
                flight::begin(&self.bound, start, (future_size, future_align), request)
            }
        }
    }

    fn describe(&self) -> Option<String> {
        let HandlerInfo { name, plugin, source, .. } = self.info();
        Some(format!("handler {name} of plugin {plugin}, {source}"))
    }
}

impl NativeHandler {
    /// Has the blocking pool answer.
    fn queue(&self, call: CallFn, request: &Request) -> Answer {
        let detached = Arc::new(Detached::new(request));
        let deadline_ns = clock::deadline_ns(self.bound.deadline);
        let (bound, copy) = (Arc::clone(&self.bound), Arc::clone(&detached));
        let breadcrumb = Breadcrumb::current();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let queued = self.bound.pool.submit(Box::new(move || {
            // The receiver is gone when the client is: then nobody wants the answer of a job that has not begun.
            if !sender.is_closed() {
                let answer = || bound.answer(call, Source::Detached(&copy), deadline_ns);
                let _ = sender.send(breadcrumb.during(answer));
            }
        }));
        if queued.is_err() {
            self.bound.counters.rejected.fetch_add(1, Ordering::Relaxed);
            return Answer::Now(overloaded());
        }
        // An error means that the pool was closed before the job began.
        let bound = Arc::clone(&self.bound);
        Answer::Later(Box::pin(async move {
            match tokio::time::timeout(clock::until(deadline_ns), receiver).await {
                Ok(answered) => answered.unwrap_or_else(|_| overloaded()),
                Err(_) => bound.report(&Fault::TimedOut, Source::Detached(&detached)),
            }
        }))
    }
}

impl Bound {
    fn handler(&self) -> &plugin::Handler {
        &self.plugin.handlers[self.index]
    }

    /// Calls a sync or blocking handler, here and now.
    // Where it is inlined it is known where the request lies, and the response is made where it belongs.
    #[inline(always)]
    fn answer(&self, call: CallFn, source: Source<'_>, deadline_ns: u64) -> Response {
        let handler = self.handler();
        let mut frame = Frame::new(source, self, deadline_ns);
        let request = frame.request(&self.order, handler.reads_body);
        let mut lease = Lease::take();
        let mut raw = lease.response(self.status);
        // SAFETY: the checked plugin's function with its own state and data; the request and what it points to live in
        // `frame` and `source`, the lent buffer in `lease`, all beyond the call.
        let result = unsafe { call(self.plugin.state.0, handler.data.0, &request, &mut raw) };
        self.conclude(result, &mut lease, &raw, source)
    }

    /// The response, if the handler wrote a valid one, or that to its fault.
    #[inline]
    fn conclude(
        &self,
        result: u32,
        lease: &mut Lease,
        raw: &bimetal_abi::BmResponse,
        source: Source<'_>,
    ) -> Response {
        let fault = match result {
            RESULT_OK => match response::finish(lease, raw, self, source) {
                Ok(response) => return response,
                Err(reason) => Fault::BadResponse(reason),
            },
            RESULT_PANIC => Fault::Panicked,
            other => Fault::BadResponse(format!("it returned {other}, which means nothing")),
        };
        self.report(&fault, source)
    }

    /// Counts and logs a fault, and gives the answer for the client, which does not learn what went wrong.
    #[cold]
    fn report(&self, fault: &Fault, source: Source<'_>) -> Response {
        let handler = self.handler();
        let counters = &self.counters;
        let counter = match fault {
            Fault::Panicked => &counters.panics,
            Fault::TimedOut => &counters.timeouts,
            Fault::BadResponse(_) => &counters.bad_responses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = handler.log_limit.allows() {
            let (method, path, name) = (source.method(), source.path(), &*handler.info.name);
            let what = match fault {
                Fault::Panicked => format!("panicked on {method} {path}: answered 500"),
                Fault::TimedOut => format!(
                    "had no answer to {method} {path} after {} s: answered 504",
                    self.deadline.as_secs_f64()
                ),
                Fault::BadResponse(reason) => {
                    format!("gave an invalid response to {method} {path}: {reason}; answered 500")
                }
            };
            tracing::error!(
                handler = name,
                plugin = handler.info.plugin,
                route = self.route.as_deref().unwrap_or(path),
                "native handler `{name}` {what}{}",
                limit::withheld(before),
            );
        }
        match fault {
            Fault::TimedOut => late(),
            Fault::Panicked | Fault::BadResponse(_) => failed(),
        }
    }
}

fn failed() -> Response {
    Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").unhandled()
}

fn late() -> Response {
    Response::detail(StatusCode::GATEWAY_TIMEOUT, "The handler did not answer in time")
}

fn overloaded() -> Response {
    Response::detail(StatusCode::SERVICE_UNAVAILABLE, "The pool of blocking handlers is full")
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
