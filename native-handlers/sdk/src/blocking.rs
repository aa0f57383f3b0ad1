//! Jobs on the server's pool of threads that may block.

use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{ready, Context, Poll};

use bimetal_abi::{BmJob, RESULT_OK, RESULT_PANIC};

use crate::entry::panic_text;
use crate::task::Task;
use crate::{current, host, runtime, HttpError};

/// Runs `job` on the server's pool of threads that may block, the one on which `#[native_handler(blocking)]` runs; for async
/// handlers that have something to do that would hold up the I/O worker.
///
/// The job begins at once, whether or not the result is awaited, and goes on when the handler is cancelled; its plugin is not
/// retired before it has ended. The pool and its queue are bounded: a job that finds both full is [`JoinError::Full`]. To be
/// called in a handler, on the thread it runs on.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// async fn hash(body: Bytes) -> Result<String, HttpError> {
///     let sum = bimetal::spawn_blocking(move || body.iter().map(|byte| u64::from(*byte)).sum::<u64>()).await?;
///     Ok(sum.to_string())
/// }
/// ```
pub fn spawn_blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let result = Arc::new(Mutex::new(None));
    let Some(ctx) = current::context() else {
        return JoinHandle { state: State::Refused(Some(JoinError::Outside)), result };
    };
    let Some(spawn) = host::table().and_then(|host| host.spawn_blocking) else {
        return JoinHandle { state: State::Refused(Some(JoinError::Unsupported)), result };
    };
    let work = Box::new(Work { job: Some(job), result: Arc::clone(&result) });
    let data = Box::into_raw(work);
    let job = BmJob {
        size: size_of::<BmJob>() as u32,
        reserved: 0,
        data: data.cast(),
        run: run_of(data),
        drop: drop_of(data),
    };
    let mut place = ptr::null_mut();
    // SAFETY: the host's function with the context of a request that is borrowed; the functions take the data they come with.
    let spawned = unsafe { spawn(ctx, &job, &mut place) };
    let state = match Task::new(place).filter(|_| spawned == RESULT_OK) {
        Some(task) => State::Spawned(task),
        None => State::Refused(Some(JoinError::Full)),
    };
    JoinHandle { state, result }
}

/// The result of a job, to be awaited.
pub struct JoinHandle<T> {
    state: State,
    result: Slot<T>,
}

type Slot<T> = Arc<Mutex<Option<Result<T, String>>>>;

enum State {
    Spawned(Task),
    Refused(Option<JoinError>),
}

/// Why a job has no result.
///
/// As an [`HttpError`] (with `?`), [`JoinError::Full`] is a 503 and everything else a 500.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// It panicked; with what it said.
    Panicked(String),
    /// Every thread of the pool is at work, and the queue before it is full.
    Full,
    /// The server has ended before the job began.
    Ended,
    /// `spawn_blocking` was called outside of a handler, or on another thread than the handler's.
    Outside,
    /// The server is older than this version of the crate and runs no jobs.
    Unsupported,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(reason) => write!(f, "the blocking job panicked: {reason}"),
            JoinError::Full => f.write_str("the pool of blocking handlers is full"),
            JoinError::Ended => f.write_str("the server ended before the blocking job began"),
            JoinError::Outside => f.write_str(
                "spawn_blocking was called outside of an async or blocking handler; call it on the handler's own thread",
            ),
            JoinError::Unsupported => f.write_str("this server runs no blocking jobs; update Bimetal"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for HttpError {
    fn from(error: JoinError) -> HttpError {
        if error == JoinError::Full {
            return HttpError::unavailable("The pool of blocking handlers is full")
                .header("retry-after", "1");
        }
        // What a job panicked with is in the log already.
        if !matches!(error, JoinError::Panicked(_)) {
            crate::log::error(&error);
        }
        HttpError::internal("Internal Server Error")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let task = match &mut this.state {
            State::Spawned(task) => task,
            State::Refused(error) => return Poll::Ready(Err(error.take().unwrap_or(JoinError::Ended))),
        };
        ready!(task.poll(cx));
        let result = this.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        Poll::Ready(match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(reason)) => Err(JoinError::Panicked(reason)),
            None => Err(JoinError::Ended),
        })
    }
}

// Nothing in it is pinned.
impl<T> Unpin for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// A job on its way, and where its result goes.
struct Work<T, J> {
    job: Option<J>,
    result: Slot<T>,
}

type RunFn = unsafe extern "C" fn(*mut c_void) -> u32;
type DropFn = unsafe extern "C" fn(*mut c_void);

fn run_of<T: Send + 'static, J: FnOnce() -> T>(_data: *mut Work<T, J>) -> Option<RunFn> {
    Some(run::<T, J>)
}

fn drop_of<T, J>(_data: *mut Work<T, J>) -> Option<DropFn> {
    Some(drop_work::<T, J>)
}

unsafe extern "C" fn run<T: Send + 'static, J: FnOnce() -> T>(data: *mut c_void) -> u32 {
    // SAFETY: the data this function came with, used by this thread alone.
    let work = unsafe { &mut *data.cast::<Work<T, J>>() };
    let Some(job) = work.job.take() else { return RESULT_OK };
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime::within(job)));
    let (code, result) = match outcome {
        Ok(value) => (RESULT_OK, Ok(value)),
        Err(panic) => {
            let reason = panic_text(&*panic);
            // A payload whose own drop code panics would otherwise get past the barrier.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
            (RESULT_PANIC, Err(reason))
        }
    };
    *work.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    code
}

unsafe extern "C" fn drop_work<T, J>(data: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: made by `spawn_blocking`; the host calls this once, last.
        drop(unsafe { Box::from_raw(data.cast::<Work<T, J>>()) });
    }));
}
