//! The `sync` lane: `def` handlers, called directly on runner threads.

use std::sync::Arc;

use bimetal_runtime::lane::{Batch, Refusal, Work};
use pyo3::prelude::*;

use crate::application::Application;
use crate::call::{arguments, call_handler, Call};
use crate::context::in_empty_context;
use crate::interpreter;
use crate::refusal;

/// Runs calls in batches under one attachment.
pub(crate) struct SyncWork {
    pub(crate) application: Arc<Application>,
}

impl Work<Call> for SyncWork {
    fn runner(&self, life: &mut (dyn FnMut() + Send)) {
        interpreter::keep_thread_state(|py| self.application.runner_starts(py), life);
    }

    fn run(&self, batch: &mut Batch<'_, Call>) {
        interpreter::attach(|py| {
            while let Some(call) = batch.next() {
                run(py, &self.application, call);
            }
        });
    }

    fn refuse(&self, call: Call, why: Refusal) {
        let _ = call.reply.respond.send(refusal::response(why));
    }
}

fn run(py: Python<'_>, application: &Application, mut call: Call) {
    let routes = application.routes();
    let route = &routes[call.route];
    match arguments(py, route, &mut call) {
        Ok(Some(arguments)) => match in_empty_context(py, |py| call_handler(py, route, &arguments)) {
            Ok(result) => call.reply.result(py, route, result),
            Err(error) => call.reply.fail(py, &error),
        },
        Ok(None) => call.reply.reroute(),
        Err(error) => call.reply.fail(py, &error),
    }
}
