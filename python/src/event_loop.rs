//! The event loop's side of the bridge: a mailbox other threads post to, drained on the loop's thread.
//!
//! [`LoopPort`] is what other threads hold; it owns no Python object. [`LoopSide`] is what the loop's thread holds.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use bimetal_runtime::breadcrumb::Breadcrumb;
use bimetal_runtime::lane::{Burst, Limits, Mailbox, Refusal};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{intern, PyTraverseError, PyVisit};

use crate::imports;

/// Jobs started in one turn of the loop at most, and for how long: then timers and sockets have theirs.
const BATCH: usize = 32;
const BATCH_TIME: Duration = Duration::from_millis(1);

/// Work for the event loop's thread.
pub(crate) trait LoopTask: Send {
    /// Starts it; on the loop's thread, which has taken it at `taken`.
    fn start(self: Box<Self>, py: Python<'_>, side: &Arc<LoopSide>, taken: Instant);

    /// It will not be started.
    fn refuse(self: Box<Self>, why: Refusal);
}

enum Letter {
    /// A task, for which route it is, and since when it waits; none where it may wait for as long as it takes.
    Task(Option<Instant>, Breadcrumb, Box<dyn LoopTask>),
    /// Something that a coroutine waits for, by the number of its wait, can go on.
    Ready(usize),
}

/// Where other threads post work for the loop.
pub(crate) struct LoopPort {
    mailbox: Mailbox<Letter>,
    ear: UnixStream,
    limits: Limits,
    /// Tasks that wait for their turn and can be refused.
    waiting: AtomicUsize,
    /// For how long the first task that waits has done so, in nanoseconds, as far as the loop's last turn knew.
    oldest: AtomicU64,
}

impl LoopPort {
    /// Where as many tasks wait, and for as long, as `limits` has it for jobs.
    pub(crate) fn new(limits: Limits) -> io::Result<Arc<Self>> {
        let (ear, bell) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let ring = move || {
            // Full means that the loop has been woken and has not looked yet: then one byte more says nothing new.
            let _ = (&bell).write(&[0]);
        };
        // The tasks are counted here: what wakes them waits with them, and says nothing about how many more can.
        let mailbox = Mailbox::new(usize::MAX, ring);
        let (waiting, oldest) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Arc::new(LoopPort { mailbox, ear, limits, waiting, oldest }))
    }

    /// Posts a task that begins something, and has waited since `posted`; one that is not admitted is refused.
    pub(crate) fn admit(&self, posted: Instant, task: Box<dyn LoopTask>) {
        let oldest = Duration::from_nanos(self.oldest.load(Ordering::Relaxed));
        if self.limits.admits(self.waiting(), oldest) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.mailbox.post_anyway(Letter::Task(Some(posted), Breadcrumb::current(), task));
        } else {
            task.refuse(Refusal::Full);
        }
    }

    /// Posts a task whatever waits already: the end of a request that has run.
    pub(crate) fn post_anyway(&self, task: Box<dyn LoopTask>) {
        self.mailbox.post_anyway(Letter::Task(None, Breadcrumb::current(), task));
    }

    /// How many tasks wait that begin something.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The next letter. One consumer only.
    fn take(&self) -> Option<Letter> {
        let letter = self.mailbox.take();
        if let Some(Letter::Task(Some(_), ..)) = &letter {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        letter
    }

    /// Refuses everything that waits: the loop has ended.
    pub(crate) fn close(&self) {
        while let Some(letter) = self.take() {
            if let Letter::Task(.., task) = letter {
                task.refuse(Refusal::Closed);
            }
        }
    }
}

/// Wakes wait number `wait` of a loop, from any thread.
struct LoopWaker {
    port: Arc<LoopPort>,
    wait: usize,
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.port.mailbox.post_anyway(Letter::Ready(self.wait));
    }
}

/// The loop and what runs on it. Touched on the loop's thread only, but for being dropped.
pub(crate) struct LoopSide {
    event_loop: Py<PyAny>,
    create_future: Py<PyAny>,
    call_soon: Py<PyAny>,
    end_burst: Py<EndBurst>,
    task_arguments: Py<PyDict>,
    is_eager: bool,
    port: Arc<LoopPort>,
    /// asyncio keeps weak references to tasks: these are the strong ones, by number.
    tasks: Mutex<HashMap<usize, Option<Py<PyAny>>>>,
    /// Futures of coroutines that wait for something of ours, by the number of the wait.
    waits: Mutex<HashMap<usize, Py<PyAny>>>,
    next: AtomicUsize,
}

impl LoopSide {
    pub(crate) fn new(event_loop: &Bound<'_, PyAny>, port: Arc<LoopPort>) -> PyResult<Arc<Self>> {
        let py = event_loop.py();
        let task_arguments = PyDict::new(py);
        task_arguments.set_item("loop", event_loop)?;
        let is_eager = py.version_info() >= (3, 12);
        if is_eager {
            // The first step runs at once: a handler that awaits nothing costs no turn of the loop.
            task_arguments.set_item("eager_start", true)?;
        }
        Ok(Arc::new(LoopSide {
            create_future: event_loop.getattr("create_future")?.unbind(),
            call_soon: event_loop.getattr("call_soon")?.unbind(),
            end_burst: Py::new(py, EndBurst)?,
            event_loop: event_loop.clone().unbind(),
            task_arguments: task_arguments.unbind(),
            is_eager,
            port,
            tasks: Mutex::new(HashMap::new()),
            waits: Mutex::new(HashMap::new()),
            next: AtomicUsize::new(0),
        }))
    }

    /// Whether a task has its first turn when it is made.
    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager
    }

    /// Has the loop call the drain whenever the bell rings.
    pub(crate) fn listen(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let drain = Drain { side: OnceLock::from(Arc::clone(self)), goes_on: AtomicBool::new(false) };
        self.event_loop.call_method1(py, intern!(py, "add_reader"), (self.port.ear.as_raw_fd(), drain))?;
        Ok(())
    }

    /// Has the loop forget us.
    pub(crate) fn deafen(&self, py: Python<'_>) -> PyResult<()> {
        Burst::end();
        if !self.event_loop.call_method0(py, intern!(py, "is_closed"))?.is_truthy(py)? {
            self.event_loop.call_method1(py, intern!(py, "remove_reader"), (self.port.ear.as_raw_fd(),))?;
        }
        Ok(())
    }

    /// Runs `make(number)`, a coroutine, as a task. It has to call [`LoopSide::task_ended`] with its number.
    pub(crate) fn spawn(
        &self,
        py: Python<'_>,
        make: impl FnOnce(usize) -> PyResult<Py<PyAny>>,
    ) -> PyResult<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.tasks.lock().insert(number, None);
        let task = make(number).and_then(|coroutine| {
            imports::ASYNCIO_TASK.get(py)?.call((coroutine,), Some(self.task_arguments.bind(py)))
        });
        match task {
            Ok(task) => {
                // A task that has ended in its eager first step took its entry with it.
                if let Some(entry) = self.tasks.lock().get_mut(&number) {
                    *entry = Some(task.unbind());
                }
                Ok(())
            }
            Err(error) => {
                self.tasks.lock().remove(&number);
                Err(error)
            }
        }
    }

    pub(crate) fn task_ended(&self, number: usize) {
        // The task may go with the entry, and its destructor may run Python: not under the lock.
        let task = self.tasks.lock().remove(&number);
        drop(task);
    }

    /// A number for something to wait for, and the waker that ends the wait.
    pub(crate) fn wait(&self) -> (usize, Waker) {
        let wait = self.next.fetch_add(1, Ordering::Relaxed);
        (wait, Waker::from(Arc::new(LoopWaker { port: Arc::clone(&self.port), wait })))
    }

    /// An asyncio future that is done when the waker of `wait` is called.
    pub(crate) fn future<'py>(&self, py: Python<'py>, wait: usize) -> PyResult<Bound<'py, PyAny>> {
        let future = self.create_future.bind(py).call0()?;
        self.waits.lock().insert(wait, future.clone().unbind());
        Ok(future)
    }

    /// Nobody waits under this number any more.
    pub(crate) fn forget(&self, wait: usize) {
        let future = self.waits.lock().remove(&wait);
        drop(future);
    }

    fn ready(&self, py: Python<'_>, wait: usize) -> PyResult<()> {
        let Some(future) = self.waits.lock().remove(&wait) else { return Ok(()) };
        let future = future.bind(py);
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(())
    }

    /// Runs a step of a task. The answers of all steps in this turn of the loop are sent together, at the beginning of the next.
    pub(crate) fn step<R>(&self, py: Python<'_>, step: impl FnOnce() -> R) -> R {
        let burst = Burst::begin();
        let result = step();
        if burst.is_awaited() {
            match self.call_soon.call1(py, (&self.end_burst,)) {
                Ok(_) => burst.keep(),
                // A loop that is closed has no next turn.
                Err(_) => drop(burst),
            }
        }
        result
    }

    /// Takes the byte that the bell has sent.
    fn hear(&self) {
        let mut bytes = [0; 64];
        let _ = (&self.port.ear).read(&mut bytes);
    }

    /// One turn of the mailbox. Whether another has to follow: the bell will not ring for what is left.
    fn drain(self: &Arc<Self>, py: Python<'_>) -> bool {
        // Tasks that end at once are answered together.
        let _burst = Burst::begin();
        let mut waited = None;
        let goes_on = self.turn(py, &mut waited);
        if self.port.waiting() == 0 {
            waited = Some(Duration::ZERO);
        }
        if let Some(oldest) = waited {
            self.port.oldest.store(u64::try_from(oldest.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        goes_on
    }

    /// Takes what waits, as far as the turn goes. `waited`: for how long the last task had that it has taken, and no time where
    /// nothing is left.
    fn turn(self: &Arc<Self>, py: Python<'_>, waited: &mut Option<Duration>) -> bool {
        let started = Instant::now();
        let mut now = started;
        for _ in 0..BATCH {
            match self.port.take() {
                Some(Letter::Task(posted, breadcrumb, task)) => {
                    let age = posted.map(|posted| now.saturating_duration_since(posted));
                    *waited = age.or(*waited);
                    if age.is_some_and(|age| age > self.port.limits.max_age) {
                        task.refuse(Refusal::TooOld);
                    } else {
                        breadcrumb.during(|| task.start(py, self, now));
                    }
                }
                Some(Letter::Ready(wait)) => {
                    if let Err(error) = self.ready(py, wait) {
                        error.write_unraisable(py, None);
                    }
                }
                None => {
                    *waited = Some(Duration::ZERO);
                    return self.port.mailbox.rest();
                }
            }
            now = Instant::now();
            if now.saturating_duration_since(started) > BATCH_TIME {
                break;
            }
        }
        true
    }
}

/// What the loop calls when the answers of its last turn are to be sent.
#[pyclass(frozen, module = "bimetal._core")]
struct EndBurst;

#[pymethods]
impl EndBurst {
    fn __call__(&self) {
        Burst::end();
    }
}

/// What the loop calls when the bell rings, and in its next turn where one was not enough.
#[pyclass(frozen, module = "bimetal._core")]
struct Drain {
    side: OnceLock<Arc<LoopSide>>,
    /// Whether the next call is one that it has asked for itself. No bell rings before that.
    goes_on: AtomicBool,
}

#[pymethods]
impl Drain {
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let Some(side) = this.side.get() else { return Ok(()) };
        if !this.goes_on.swap(false, Ordering::Relaxed) {
            side.hear();
        }
        if side.drain(py) {
            // Cheaper than the bell, which would be written and read.
            this.goes_on.store(true, Ordering::Relaxed);
            side.call_soon.call1(py, (slf,))?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.side.get() {
            Some(side) => visit.call(&side.event_loop),
            None => Ok(()),
        }
    }
}
