//! What a plugin has the host do and waits for: jobs on the pool, calls of the server's routes.

use std::ffi::c_void;
use std::future::Future;
use std::mem;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use bimetal_abi::{
    BmCall, BmHeader, BmJob, BmReply, BmSlice, BmWaker, CALL_CUT_SHORT, CALL_INVALID, CALL_OK, CALL_STOPPED,
    CALL_TIMED_OUT, CALL_TOO_DEEP, CALL_TOO_LARGE, CALL_UPGRADE, RESULT_ABSENT, RESULT_FAILED, RESULT_OK,
    RESULT_PANIC, RESULT_PENDING,
};
use bimetal_runtime::breadcrumb::Breadcrumb;
use bimetal_runtime::http::{HeaderName, HeaderValue, Method};
use bimetal_runtime::server::{ErrandError, ErrandReply, PendingReply};
use bimetal_runtime::Errand;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::frame::Context;
use super::limit::withheld;
use super::{clock, table};
use crate::host::Counters;
use crate::plugin::Plugin;

/// More header fields than any call has: a larger number is garbage.
const MAX_HEADERS: u32 = 1024;

/// What the plugin has a pointer to.
enum Task {
    Job(Job),
    Call(Call),
}

enum Job {
    Running(oneshot::Receiver<u32>),
    Ended(u32),
}

enum Call {
    Running(PendingReply),
    Ended(Outcome),
}

/// An ended call, with what the plugin borrows of it.
struct Outcome {
    result: Result<ErrandReply, Failure>,
    /// The reply's header fields as the ABI has them.
    fields: Vec<BmHeader>,
}

/// Why there is no answer: a `CALL_` number and a text.
struct Failure(u32, String);

impl From<ErrandError> for Failure {
    fn from(error: ErrandError) -> Failure {
        let number = match &error {
            ErrandError::Target(_) => CALL_INVALID,
            ErrandError::Upgrade => CALL_UPGRADE,
            ErrandError::TooDeep => CALL_TOO_DEEP,
            ErrandError::Stopped => CALL_STOPPED,
            ErrandError::TimedOut => CALL_TIMED_OUT,
            ErrandError::TooLarge(_) => CALL_TOO_LARGE,
            ErrandError::CutShort(_) => CALL_CUT_SHORT,
        };
        Failure(number, error.to_string())
    }
}

impl Outcome {
    fn new(result: Result<ErrandReply, Failure>) -> Outcome {
        let fields = result.as_ref().map_or_else(
            |_| Vec::new(),
            |reply| {
                let field = |(name, value): &(HeaderName, HeaderValue)| BmHeader {
                    // Both lie on the heap or are static: moving the reply does not move them.
                    name: BmSlice::borrow_str(name.as_str()),
                    value: BmSlice::borrow(value.as_bytes()),
                };
                reply.headers.iter().map(field).collect()
            },
        );
        Outcome { result, fields }
    }

    fn code(&self) -> u32 {
        if self.result.is_ok() {
            RESULT_OK
        } else {
            RESULT_FAILED
        }
    }
}

impl Task {
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<u32> {
        match self {
            Task::Job(Job::Ended(code)) => return Poll::Ready(*code),
            Task::Call(Call::Ended(outcome)) => return Poll::Ready(outcome.code()),
            Task::Job(Job::Running(receiver)) => {
                // An error means that the pool was closed before the job began.
                if let Poll::Ready(code) = Pin::new(receiver).poll(cx) {
                    *self = Task::Job(Job::Ended(code.unwrap_or(RESULT_FAILED)));
                }
            }
            Task::Call(Call::Running(reply)) => {
                if let Poll::Ready(result) = Pin::new(reply).poll(cx) {
                    *self = Task::Call(Call::Ended(Outcome::new(result.map_err(Failure::from))));
                }
            }
        }
        match self {
            Task::Job(Job::Ended(code)) => Poll::Ready(*code),
            Task::Call(Call::Ended(outcome)) => Poll::Ready(outcome.code()),
            _ => Poll::Pending,
        }
    }

    /// As [`Task::poll`], where nobody is to be woken.
    fn poll_once(&mut self) -> u32 {
        match self.poll(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(code) => code,
            Poll::Pending => RESULT_PENDING,
        }
    }

    /// As [`Task::poll`], but waits; the calling thread polls no futures.
    fn wait(&mut self) -> u32 {
        let waited = match mem::replace(self, Task::Job(Job::Ended(RESULT_FAILED))) {
            Task::Job(Job::Running(receiver)) => {
                Task::Job(Job::Ended(receiver.blocking_recv().unwrap_or(RESULT_FAILED)))
            }
            Task::Call(Call::Running(reply)) => {
                Task::Call(Call::Ended(Outcome::new(reply.wait().map_err(Failure::from))))
            }
            ended => ended,
        };
        *self = waited;
        match self {
            Task::Job(Job::Ended(code)) => *code,
            Task::Call(Call::Ended(outcome)) => outcome.code(),
            _ => RESULT_FAILED,
        }
    }
}

/// A job on its way to the pool. Fields are dropped in this order: the generation is there until its data is given back.
struct Queued {
    data: JobData,
    run: unsafe extern "C" fn(*mut c_void) -> u32,
    ended: oneshot::Sender<u32>,
    handler: usize,
    counters: Arc<Counters>,
    plugin: Arc<Plugin>,
}

/// A job's data, given back once, whether or not the job has run.
struct JobData {
    data: *mut c_void,
    drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the ABI lets a job run, and its data be dropped, on any thread.
unsafe impl Send for JobData {}

impl Drop for JobData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop.take() {
            // SAFETY: the plugin's function with its own pointer, called once; it is not used again.
            unsafe { drop(self.data) };
        }
    }
}

impl Queued {
    fn run(self) {
        let Queued { data, run, ended, handler, counters, plugin } = self;
        // SAFETY: the plugin's function with its own data, called once.
        let code = unsafe { run(data.data) };
        if code == RESULT_PANIC {
            counters.panics.fetch_add(1, Ordering::Relaxed);
            let handler = &plugin.handlers[handler];
            if let Some(before) = handler.log_limit.allows() {
                tracing::error!(
                    handler = handler.info.name,
                    plugin = handler.info.plugin,
                    "a job that native handler `{}` had run on the blocking pool panicked{}",
                    handler.info.name,
                    withheld(before),
                );
            }
        }
        drop(data);
        let _ = ended.send(code);
        drop(plugin);
    }
}

/// The context behind a pointer that a plugin passes.
///
/// # Safety
///
/// `ctx` is null or that of a request that is still borrowed.
unsafe fn context<'a>(ctx: *const c_void) -> Option<&'a Context<'a>> {
    // SAFETY: by this function's contract.
    unsafe { ctx.cast::<Context<'_>>().as_ref() }
}

pub(super) unsafe extern "C" fn spawn_blocking(
    ctx: *const c_void,
    job: *const BmJob,
    place: *mut *mut c_void,
) -> u32 {
    let spawned = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin passes a job that is valid during the call.
        let job = unsafe { job.as_ref() }?;
        // From here on it is dropped in any case.
        let data = JobData { data: job.data, drop: job.drop };
        // SAFETY: as the ABI says.
        let bound = unsafe { context(ctx) }?.bound;
        let (ended, receiver) = oneshot::channel();
        let queued = Queued {
            data,
            run: job.run?,
            ended,
            handler: bound.index,
            counters: Arc::clone(&bound.counters),
            plugin: Arc::clone(&bound.plugin),
        };
        let breadcrumb = Breadcrumb::current();
        if bound.pool.submit(Box::new(move || breadcrumb.during(|| queued.run()))).is_err() {
            bound.counters.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Task::Job(Job::Running(receiver)))
    }));
    match spawned {
        // SAFETY: the plugin passes a place for the task.
        Ok(Some(task)) => unsafe { hand_out(task, place) },
        Ok(None) => RESULT_FAILED,
        Err(_) => RESULT_PANIC,
    }
}

pub(super) unsafe extern "C" fn call_route(
    ctx: *const c_void,
    call: *const BmCall,
    place: *mut *mut c_void,
) -> u32 {
    let called = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as the ABI says; the call and what it points to are valid during this call.
        let (context, call) = unsafe { (context(ctx)?, call.as_ref()?) };
        // SAFETY: the same.
        Some(match unsafe { errand(context, call) } {
            Ok(errand) => match &context.bound.server {
                Some(server) => Call::Running(server.call(errand)),
                None => Call::Ended(Outcome::new(Err(ErrandError::Stopped.into()))),
            },
            Err(why) => Call::Ended(Outcome::new(Err(Failure(CALL_INVALID, why)))),
        })
    }));
    match called {
        // SAFETY: the plugin passes a place for the task.
        Ok(Some(call)) => unsafe { hand_out(Task::Call(call), place) },
        Ok(None) => RESULT_FAILED,
        Err(_) => RESULT_PANIC,
    }
}

/// What a plugin wants to call, or what is wrong with it.
///
/// # Safety
///
/// The call, and what it points to, is valid.
unsafe fn errand(context: &Context<'_>, call: &BmCall) -> Result<Errand, String> {
    // SAFETY: by this function's contract.
    let (method, target, body) = unsafe { (call.method.text(), call.target.text(), call.body.bytes()) };
    let method = method
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
        .ok_or("the method is not one of HTTP")?;
    let target = target.ok_or("the target is not text")?.to_owned();
    let body = body.ok_or("the body is a null pointer with a length")?;
    let fields: &[BmHeader] = match call.n_headers {
        0 => &[],
        count if count > MAX_HEADERS || call.headers.is_null() || !call.headers.is_aligned() => {
            return Err(format!("the list of {count} header fields cannot be read"));
        }
        // SAFETY: not null, aligned, and the plugin says that so many are there.
        count => unsafe { std::slice::from_raw_parts(call.headers, count as usize) },
    };
    let mut headers = Vec::with_capacity(fields.len());
    for field in fields {
        // SAFETY: by this function's contract.
        let (name, value) = unsafe { (field.name.bytes(), field.value.bytes()) };
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        let parsed = HeaderName::from_bytes(name)
            .map_err(|_| format!("`{}` is not the name of a header field", name.escape_ascii()))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| {
            format!("the header field `{parsed}` has a value with a forbidden byte (like CR or LF)")
        })?;
        headers.push((parsed, value));
    }
    Ok(Errand {
        method,
        target,
        headers,
        body: Bytes::copy_from_slice(body),
        client: None,
        secure: false,
        depth: context.source.errand_depth() + 1,
        deadline: (context.deadline_ns > 0).then(|| clock::instant(context.deadline_ns)).flatten(),
        renews: false,
    })
}

/// Gives a task to the plugin.
///
/// # Safety
///
/// `place` is for writing.
unsafe fn hand_out(task: Task, place: *mut *mut c_void) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { place.write(Box::into_raw(Box::new(task)).cast()) };
    RESULT_OK
}

pub(super) unsafe extern "C" fn task_poll(task: *mut c_void, waker: *const BmWaker) -> u32 {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin passes a task it was given and has not dropped, and uses it on no other thread meanwhile.
        let Some(task) = (unsafe { task.cast::<Task>().as_mut() }) else { return RESULT_FAILED };
        if waker.is_null() {
            return task.poll_once();
        }
        // SAFETY: the plugin passes a waker it was given, which stays the plugin's.
        let waker = unsafe { table::waker_behind(waker) };
        match task.poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(code) => code,
            Poll::Pending => RESULT_PENDING,
        }
    }));
    polled.unwrap_or(RESULT_PANIC)
}

pub(super) unsafe extern "C" fn task_wait(task: *mut c_void) -> u32 {
    let waited = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as in `task_poll`.
        let Some(task) = (unsafe { task.cast::<Task>().as_mut() }) else { return RESULT_FAILED };
        // An I/O worker that waits could be the one that has to do the work.
        if tokio::runtime::Handle::try_current().is_ok() {
            return task.poll_once();
        }
        task.wait()
    }));
    waited.unwrap_or(RESULT_PANIC)
}

pub(super) unsafe extern "C" fn task_reply(task: *mut c_void, reply: *mut BmReply) -> u32 {
    let replied = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as in `task_poll`; the outcome stays where it is until `task_drop`.
        let Some(Task::Call(Call::Ended(outcome))) = (unsafe { task.cast::<Task>().as_ref() }) else {
            return RESULT_ABSENT;
        };
        // SAFETY: the plugin passes a place for the result, and has set its size.
        let Some(reply) = (unsafe { reply.as_mut() }) else { return RESULT_ABSENT };
        if (reply.size as usize) < size_of::<BmReply>() {
            return RESULT_ABSENT;
        }
        let size = reply.size;
        *reply = match &outcome.result {
            Ok(answer) => BmReply {
                size,
                status: answer.status.as_u16().into(),
                failure: CALL_OK,
                n_headers: outcome.fields.len() as u32,
                headers: outcome.fields.as_ptr(),
                body: BmSlice::borrow(&answer.body),
                error: BmSlice::EMPTY,
            },
            Err(Failure(number, text)) => BmReply {
                size,
                status: 0,
                failure: *number,
                n_headers: 0,
                headers: std::ptr::null(),
                body: BmSlice::EMPTY,
                error: BmSlice::borrow_str(text),
            },
        };
        RESULT_OK
    }));
    replied.unwrap_or(RESULT_PANIC)
}

pub(super) unsafe extern "C" fn task_drop(task: *mut c_void) {
    if !task.is_null() {
        // SAFETY: a task from `hand_out`, which the plugin gives up once.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(task.cast::<Task>()) })));
    }
}
