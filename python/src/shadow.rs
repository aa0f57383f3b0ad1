//! Copies of native exchanges, for whoever compares them with what a route's Python body answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use bimetal_runtime::http::Method;
use bimetal_runtime::{Answer, Body, Handler, Head, Request, Response};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tokio::sync::mpsc;

use crate::application::Application;
use crate::asgi::scope;
use crate::awaitable::{pending, Awaitable, Outcome};
use crate::event_loop::LoopSide;

/// Exchanges that may wait for their comparison; what comes while so many wait is dropped.
const WAITING: usize = 64;

/// A request and what the native handler answered.
struct Exchange {
    route: usize,
    head: Head,
    status: u16,
    headers: Vec<(Bytes, Bytes)>,
    body: Bytes,
}

/// The exchanges of one server that wait for their comparison.
pub(crate) struct ShadowQueue {
    sender: mpsc::Sender<Exchange>,
    receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Exchange>>>,
    dropped: AtomicU64,
}

impl ShadowQueue {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        ShadowQueue {
            sender,
            receiver: Arc::new(tokio::sync::Mutex::new(receiver)),
            dropped: AtomicU64::new(0),
        }
    }

    /// Exchanges that were dropped, because so many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends with the next exchange: number of the route, ASGI scope, status, headers, body.
    pub(crate) fn next(
        &self,
        py: Python<'_>,
        side: &Arc<LoopSide>,
        application: Arc<Application>,
    ) -> PyResult<Py<Awaitable>> {
        let receiver = Arc::clone(&self.receiver);
        pending(py, side, async move {
            let next = receiver.lock().await.recv().await;
            Box::new(move |py: Python<'_>| match next {
                Some(exchange) => exchange.into_python(py, &application),
                None => Ok(py.None()),
            }) as Outcome
        })
    }

    /// Takes a copy of an exchange, unless too many wait. Never waits itself.
    fn offer(&self, route: usize, head: Head, response: &Response) {
        let body = match &response.body {
            Body::Full(bytes) => bytes.clone(),
            // What comes in parts may have no end; it is not compared.
            Body::Stream(_) => return,
        };
        let Ok(permit) = self.sender.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| (copy(name.as_str().as_bytes()), copy(value.as_bytes())));
        permit.send(Exchange {
            route,
            head,
            status: response.status.as_u16(),
            headers: headers.collect(),
            body,
        });
    }
}

impl Exchange {
    fn into_python(self, py: Python<'_>, application: &Application) -> PyResult<Py<PyAny>> {
        let headers = PyList::empty(py);
        for (name, value) in &self.headers {
            headers.append(PyTuple::new(py, [PyBytes::new(py, name), PyBytes::new(py, value)])?)?;
        }
        let scope = scope::http(py, &self.head, application)?;
        let exchange = (self.route, scope, self.status, headers, PyBytes::new(py, &self.body));
        Ok(exchange.into_pyobject(py)?.into_any().unbind())
    }
}

/// A native handler of which a share of the GET requests is compared.
pub(crate) struct ShadowedHandler<H> {
    native: H,
    route: usize,
    share: Share,
    queue: Arc<ShadowQueue>,
}

impl<H: Handler> ShadowedHandler<H> {
    /// `route` is the number the exchanges carry, `share` between 0 and 1.
    pub(crate) fn new(native: H, route: usize, share: f64, queue: Arc<ShadowQueue>) -> Self {
        ShadowedHandler { native, route, share: Share::new(share), queue }
    }
}

impl<H: Handler> Handler for ShadowedHandler<H> {
    fn describe(&self) -> Option<String> {
        self.native.describe()
    }

    fn call(&self, request: Request) -> Answer {
        if *request.method() != Method::GET || !request.body().is_empty() || !self.share.takes_next() {
            return self.native.call(request);
        }
        let head = request.to_head();
        match self.native.call(request) {
            Answer::Now(response) => {
                self.queue.offer(self.route, head, &response);
                Answer::Now(response)
            }
            Answer::Later(answer) => {
                let (queue, route) = (Arc::clone(&self.queue), self.route);
                Answer::Later(Box::pin(async move {
                    let response = answer.await;
                    queue.offer(route, head, &response);
                    response
                }))
            }
        }
    }
}

/// Picks a share of what it is asked about, spread without a pattern that requests could have as well.
struct Share {
    state: AtomicU64,
    /// What the next number has to be below: of 2^53.
    limit: u64,
}

const RANGE: u64 = 1 << 53;

impl Share {
    fn new(share: f64) -> Self {
        Share { state: AtomicU64::new(0), limit: (share * RANGE as f64) as u64 }
    }

    fn takes_next(&self) -> bool {
        // SplitMix64.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.state.fetch_add(STEP, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % RANGE < self.limit
    }
}
