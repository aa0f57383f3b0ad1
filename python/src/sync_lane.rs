//! The `sync` lane: `def` handlers, called directly on runner threads.

use std::sync::Arc;

use bimetal_runtime::lane::{Batch, Refusal, Work};
use pyo3::prelude::*;

use crate::application::Application;
use crate::call::{begin, Begun, Call};
use crate::context::in_empty_context;
use crate::interpreter;
use crate::thread_call::ThreadCall;

/// What runners do.
pub(crate) enum Job {
    /// Answer a request of a compiled route.
    Request(Box<Call>),
    /// Call a function for a coroutine that waits on the event loop.
    Thread(ThreadCall),
}

/// Runs jobs in batches under one attachment.
pub(crate) struct SyncWork {
    pub(crate) application: Arc<Application>,
}

impl Work<Job> for SyncWork {
    fn runner(&self, life: &mut (dyn FnMut() + Send)) {
        interpreter::keep_thread_state(|py| self.application.runner_starts(py), life);
    }

    fn run(&self, batch: &mut Batch<'_, Job>) {
        interpreter::attach(|py| {
            while let Some(job) = batch.next() {
                match job {
                    Job::Request(mut call) => {
                        call.reply.respond.taken_by_runner(batch);
                        run(py, &self.application, *call);
                    }
                    Job::Thread(call) => call.run(py),
                }
            }
        });
    }

    fn refuse(&self, job: Job, why: Refusal) {
        match job {
            Job::Request(call) => call.refuse(why),
            Job::Thread(call) => call.refuse(why),
        }
    }
}

fn run(py: Python<'_>, application: &Application, call: Call) {
    let routes = application.routes();
    let number = call.route;
    let route = &routes[number];
    let ran = in_empty_context(py, |py| match begin(py, route, call, None) {
        Begun::Called(result, reply) => reply.result(py, route, number, None, result),
        Begun::Operation => {}
    });
    if let Err(error) = ran {
        error.write_unraisable(py, None);
    }
}
