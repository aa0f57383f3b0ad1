//! Functions of the application that say who a request counts for: called on a runner, for the I/O worker that waits for the key.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bimetal_runtime::http::StatusCode;
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::limit::{Compute, Computed};
use bimetal_runtime::{Head, Request, Response};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::oneshot;

use crate::application::Application;
use crate::asgi::scope;
use crate::context::in_empty_context;
use crate::lanes::Lanes;
use crate::refusal;
use crate::sync_lane::Job;

/// One of the application's key functions, as the I/O workers know it.
pub(crate) struct KeyFunction {
    /// Not the owner: what counts requests may outlive the lanes.
    pub(crate) lanes: Weak<Lanes>,
    /// Its place among them.
    pub(crate) number: usize,
    /// The names of the path parameters of the route, in order.
    pub(crate) names: Vec<String>,
}

impl Compute for KeyFunction {
    fn key(&self, request: &Request) -> Computed {
        let Some(lanes) = self.lanes.upgrade() else {
            return Box::pin(async { Err(Box::new(refusal::response(Refusal::Closed))) });
        };
        let params =
            self.names.iter().enumerate().filter_map(|(index, name)| {
                request.param(index).map(|value| (name.clone(), value.to_owned()))
            });
        let (reply, key) = oneshot::channel();
        let call = KeyCall { number: self.number, params: params.collect(), head: request.to_head(), reply };
        lanes.runners.admit(Instant::now(), Job::key(Box::new(call)));
        Box::pin(async move { key.await.unwrap_or_else(|_| Err(failure())) })
    }
}

/// A call of one on its way to a runner.
pub(crate) struct KeyCall {
    number: usize,
    params: Vec<(String, String)>,
    head: Head,
    reply: oneshot::Sender<Result<Option<String>, Box<Response>>>,
}

impl KeyCall {
    /// Calls the function; on a runner.
    pub(crate) fn run(self, py: Python<'_>, application: &Application) {
        let key = in_empty_context(py, |py| self.call(py, application)).and_then(|key| key);
        let _ = self.reply.send(key.map_err(|error| {
            application.report(py, &error, self.head.method.as_str(), &self.head.path);
            failure()
        }));
    }

    fn call(&self, py: Python<'_>, application: &Application) -> PyResult<Option<String>> {
        let scope = scope::http(py, &self.head, application)?;
        let params = PyDict::new(py);
        for (name, value) in &self.params {
            params.set_item(name, value)?;
        }
        scope.set_item(intern!(py, "path_params"), params)?;
        let functions = application.key_functions();
        match functions.get(self.number) {
            Some(function) => function.call1(py, (scope,))?.extract(py),
            // The server has stopped.
            None => Ok(None),
        }
    }

    /// The function will not be called.
    pub(crate) fn refuse(self, why: Refusal) {
        let _ = self.reply.send(Err(Box::new(refusal::response(why))));
    }
}

fn failure() -> Box<Response> {
    Box::new(Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").unhandled())
}

/// All of an application's key functions.
pub(crate) type KeyFunctions = Arc<[Py<PyAny>]>;
