//! The `sync` lane: `def` handlers, called directly on runner threads.

use std::sync::Arc;

use bimetal_runtime::breadcrumb::Breadcrumb;
use bimetal_runtime::lane::{Batch, Refusal, Work};
use pyo3::prelude::*;

use crate::application::Application;
use crate::call::{begin, Begun, Call};
use crate::context::in_empty_context;
use crate::cpu_time::Meter;
use crate::interpreter;
use crate::limit_key::KeyCall;
use crate::thread_call::ThreadCall;

/// What runners do, and for which route.
pub(crate) struct Job {
    task: Task,
    breadcrumb: Breadcrumb,
}

enum Task {
    /// Answer a request of a compiled route.
    Request(Box<Call>),
    /// Call a function for a coroutine that waits on the event loop.
    Thread(ThreadCall),
    /// Ask the application whom a request counts for.
    Key(Box<KeyCall>),
}

impl Job {
    /// Answers a request of a compiled route, the one that this thread is calling.
    pub(crate) fn request(call: Box<Call>) -> Job {
        Job { task: Task::Request(call), breadcrumb: Breadcrumb::current() }
    }

    /// Asks the application whom a request counts for, of the route that this thread is calling.
    pub(crate) fn key(call: Box<KeyCall>) -> Job {
        Job { task: Task::Key(call), breadcrumb: Breadcrumb::current() }
    }

    /// Calls a function for a coroutine of the route that this thread is calling.
    pub(crate) fn thread(call: ThreadCall) -> Job {
        Job { task: Task::Thread(call), breadcrumb: Breadcrumb::current() }
    }
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
            while let Some(Job { task, breadcrumb }) = batch.next() {
                breadcrumb.during(|| match task {
                    Task::Request(mut call) => {
                        call.reply.respond.taken_by_runner(batch);
                        run(py, &self.application, *call);
                    }
                    Task::Thread(call) => call.run(py),
                    Task::Key(call) => call.run(py, &self.application),
                });
            }
        });
    }

    fn refuse(&self, job: Job, why: Refusal) {
        match job.task {
            Task::Request(call) => call.refuse(why),
            Task::Thread(call) => call.refuse(why),
            Task::Key(call) => call.refuse(why),
        }
    }
}

fn run(py: Python<'_>, application: &Application, call: Call) {
    let routes = application.routes();
    let number = call.route;
    let route = &routes[number];
    let ran = Meter::sampled().during(|| {
        in_empty_context(py, |py| match begin(py, route, call, None) {
            Begun::Called(result, reply) => reply.result(py, route, number, None, result),
            Begun::Operation => {}
        })
    });
    if let Err(error) = ran {
        error.write_unraisable(py, None);
    }
}
