//! The pool: its thread, checking connections out, deadlines, the end.

use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Object, PoolError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, oneshot};

use crate::config::PoolConfig;
use crate::connection::{Connection, Manager};
use crate::error::{Error, ErrorKind};
use crate::query;
use crate::rows::Rows;
use crate::tls::Tls;
use crate::transaction::Held;
use crate::value::Value;

/// How often connections that nobody uses are looked at.
const UPKEEP: Duration = Duration::from_secs(5);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A pool of connections. Dropped, it closes them without waiting for what runs; see [`Pool::close`].
pub struct Pool {
    place: Place,
    thread: Mutex<Option<(JoinHandle<()>, oneshot::Sender<()>)>>,
}

/// How a pool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Connections at most.
    pub max_size: usize,
    /// Connections that there are.
    pub size: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Who waits for one.
    pub waiting: usize,
    /// Statements and copies that run or wait, and transactions.
    pub running: usize,
}

/// What all who use a pool share.
pub(crate) struct Shared {
    pub(crate) config: PoolConfig,
    pool: managed::Pool<Manager>,
    place: String,
    jobs: mpsc::UnboundedSender<Job>,
    running: AtomicUsize,
    /// Nothing new is taken.
    closing: AtomicBool,
    at_rest: (Mutex<()>, Condvar),
}

/// Where statements run: on any connection of a pool, or on the one that a transaction holds.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) held: Option<Arc<Held>>,
}

/// Counts a job, until it is dropped.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let _lock = self.0.at_rest.0.lock();
            self.0.at_rest.1.notify_all();
        }
    }
}

impl Pool {
    /// Starts the pool's thread, which opens the first connections. Whether the server is there shows with the first statement.
    pub fn start(config: PoolConfig) -> Result<Pool, Error> {
        let target = config.target()?;
        let tls = Tls::new(&target.trust)?;
        let manager = Manager {
            config: target.config,
            tls,
            place: target.place.clone(),
            statement_cache: config.statement_cache,
            connect_timeout: config.connect_timeout,
        };
        let pool = managed::Pool::builder(manager)
            .max_size(config.max_size)
            .build()
            .map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let upkeep = upkeep(pool.clone(), config.min_size, config.idle_timeout);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
                Error::new(ErrorKind::Config, format!("the pool's runtime cannot start: {error}"))
            })?;
        let thread = thread::Builder::new()
            .name("bimetal-pg".into())
            .spawn(move || runtime.block_on(dispatch(receiver, stopped, upkeep)))
            .map_err(|error| {
                Error::new(ErrorKind::Config, format!("the pool's thread cannot start: {error}"))
            })?;
        let shared = Arc::new(Shared {
            config,
            pool,
            place: target.place,
            jobs,
            running: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            at_rest: (Mutex::new(()), Condvar::new()),
        });
        let place = Place { shared, held: None };
        Ok(Pool { place, thread: Mutex::new(Some((thread, stop))) })
    }

    /// Runs a statement on a connection that is free; `finish` makes of its rows what is wanted, on the pool's thread.
    pub fn query<T: Send + 'static>(
        &self,
        sql: Arc<str>,
        arguments: Vec<Value>,
        finish: fn(Rows) -> Result<T, Error>,
    ) -> Result<Reply<T>, Error> {
        self.place.query(sql, arguments, finish)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// How it does.
    pub fn figures(&self) -> Figures {
        let shared = &self.place.shared;
        let status = shared.pool.status();
        Figures {
            max_size: status.max_size,
            size: status.size,
            idle: status.available,
            waiting: status.waiting,
            running: shared.running.load(Ordering::Relaxed),
        }
    }

    /// Closes every connection, after what runs has ended or `timeout` has passed; whether it has. Later statements are refused.
    pub fn close(&self, timeout: Duration) -> bool {
        let shared = &self.place.shared;
        shared.closing.store(true, Ordering::Release);
        let deadline = Instant::now() + timeout;
        let mut at_rest = shared.at_rest.0.lock();
        while shared.running.load(Ordering::Acquire) > 0 {
            if shared.at_rest.1.wait_until(&mut at_rest, deadline).timed_out() {
                break;
            }
        }
        drop(at_rest);
        shared.pool.close();
        let ended = shared.running.load(Ordering::Acquire) == 0;
        if let Some((thread, stop)) = self.thread.lock().take() {
            drop(stop);
            let _ = thread.join();
        }
        ended
    }

    /// Gives it up without its thread: in a process that was forked, where that does not exist.
    pub fn forget(&self) {
        if let Some(thread) = self.thread.lock().take() {
            std::mem::forget(thread);
        }
    }
}

async fn dispatch(
    mut jobs: mpsc::UnboundedReceiver<Job>,
    mut stopped: oneshot::Receiver<()>,
    upkeep: impl Future<Output = ()> + Send + 'static,
) {
    tokio::spawn(upkeep);
    let mut batch = Vec::with_capacity(64);
    loop {
        tokio::select! {
            biased;
            // Also when the other end is dropped.
            _ = &mut stopped => return,
            taken = jobs.recv_many(&mut batch, 64) => {
                if taken == 0 {
                    return;
                }
                for job in batch.drain(..) {
                    tokio::spawn(job);
                }
            }
        }
    }
}

/// Keeps `min_size` connections open, and no others that nobody has used for long.
async fn upkeep(pool: managed::Pool<Manager>, min_size: usize, idle: Duration) {
    // Not a reference that keeps the pool.
    let (weak, mut failing) = (pool.weak(), false);
    drop(pool);
    let mut ticks = tokio::time::interval(UPKEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(pool) = weak.upgrade() else { return };
        if pool.is_closed() {
            return;
        }
        let mut kept = 0;
        pool.retain(|connection, metrics| {
            let keep = connection.is_usable() && (kept < min_size || metrics.last_used() < idle);
            kept += usize::from(keep);
            keep
        });
        let missing = min_size.saturating_sub(pool.status().size);
        // All at a time: each holds its own until the last is there.
        let opened = futures_util::future::join_all((0..missing).map(|_| pool.get())).await;
        let error = opened.iter().find_map(|opened| opened.as_ref().err());
        if let (Some(PoolError::Backend(error)), false) = (error, failing) {
            tracing::warn!(target: "bimetal::pg", "{error}");
        }
        failing = error.is_some();
    }
}

impl Shared {
    /// Counts a job more, unless there are too many, or the pool is being closed. What belongs to a transaction may end it.
    pub(crate) fn admit(self: &Arc<Self>, in_transaction: bool) -> Result<Running, Error> {
        if !in_transaction && self.closing.load(Ordering::Acquire) {
            return Err(closed());
        }
        let running = Running(Arc::clone(self));
        if self.running.fetch_add(1, Ordering::AcqRel) >= self.config.max_waiting {
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!("{} statements run or wait already (max_waiting)", self.config.max_waiting),
            ));
        }
        Ok(running)
    }

    /// Has the pool's thread run a job.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        self.jobs.send(Box::pin(job)).map_err(|_| closed())
    }

    /// A connection that nobody else uses.
    pub(crate) async fn checkout(&self) -> Result<Object<Manager>, Error> {
        let limit = self.config.checkout_timeout;
        match tokio::time::timeout(limit, self.pool.get()).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(PoolError::Backend(error))) => Err(error),
            Ok(Err(PoolError::Closed)) => Err(closed()),
            Ok(Err(error)) => Err(Error::new(ErrorKind::Unavailable, error.to_string())),
            Err(_) => {
                let status = self.pool.status();
                Err(if status.size >= status.max_size {
                    let what = format!(
                        "all {} connections to {} were in use for {limit:?}; raise max_size, or use them for a shorter time",
                        status.max_size, self.place
                    );
                    Error::new(ErrorKind::Exhausted, what)
                } else {
                    Error::new(
                        ErrorKind::Unavailable,
                        format!("no connection to {} within {limit:?}", self.place),
                    )
                })
            }
        }
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool is closed")
}

/// A connection in use. Dropped without [`Lease::release`], one of the pool's is closed: nobody knows its state.
#[expect(clippy::large_enum_variant, reason = "one for each job, which lies on the heap itself")]
pub(crate) enum Lease {
    Pooled(Option<Object<Manager>>),
    Held(tokio::sync::OwnedMutexGuard<Option<Object<Manager>>>),
}

impl Lease {
    pub(crate) fn connection(&self) -> Result<&Connection, Error> {
        let object = match self {
            Lease::Pooled(object) => object.as_ref(),
            Lease::Held(object) => object.as_ref(),
        };
        object.map(|object| &**object).ok_or_else(|| Error::new(ErrorKind::Usage, "the transaction is over"))
    }

    /// Lets the next have it, unless it is spoilt.
    pub(crate) fn release(mut self) {
        if let Lease::Pooled(object) = &mut self {
            if let Some(object) = object.take() {
                give_back(object);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Lease::Pooled(object) = self {
            if let Some(object) = object.take() {
                drop(Object::take(object));
            }
        }
    }
}

/// Puts a connection back where it can be used again, and closes it where not.
pub(crate) fn give_back(object: Object<Manager>) {
    if !object.is_usable() {
        drop(Object::take(object));
    }
}

impl Place {
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        match &self.held {
            None => Ok(Lease::Pooled(Some(self.shared.checkout().await?))),
            Some(held) => Ok(Lease::Held(Arc::clone(&held.object).lock_owned().await)),
        }
    }

    pub(crate) fn query<T: Send + 'static>(
        &self,
        sql: Arc<str>,
        arguments: Vec<Value>,
        finish: fn(Rows) -> Result<T, Error>,
    ) -> Result<Reply<T>, Error> {
        query::refuse_control(&sql)?;
        let (running, place) = (self.shared.admit(self.held.is_some())?, self.clone());
        let (mut answer, reply) = oneshot::channel();
        self.shared.spawn(async move {
            let leased = tokio::select! {
                biased;
                leased = place.lease() => leased,
                () = answer.closed() => return,
            };
            let lease = match leased {
                Ok(lease) => lease,
                Err(error) => {
                    drop(running);
                    let _ = answer.send(Err(error));
                    return;
                }
            };
            let config = &place.shared.config;
            let result = match lease.connection() {
                Ok(connection) => {
                    let again = place.held.is_none();
                    let work = query::run(connection, &sql, &arguments, config.max_result, again);
                    query::attended(connection, work, answer.closed(), config.statement_timeout).await
                }
                Err(error) => Some(Err(error)),
            };
            if let (Some(Err(error)), Some(held)) = (&result, &place.held) {
                held.note_failure(error);
            }
            // First, so that whoever waits for the answer finds the connection free.
            lease.release();
            drop(running);
            if let Some(result) = result {
                let _ = answer.send(result.and_then(finish));
            }
        })?;
        Ok(Reply(reply))
    }
}

/// The result of a job, to be awaited or waited for. Dropped, the job is given up: its statement is cancelled.
pub struct Reply<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Reply<T> {
    pub(crate) fn new(receiver: oneshot::Receiver<Result<T, Error>>) -> Reply<T> {
        Reply(receiver)
    }

    /// Blocks until there is a result.
    pub fn wait(mut self) -> Result<T, Error> {
        loop {
            if let Some(result) = self.wait_for(Duration::from_secs(3600)) {
                return result;
            }
        }
    }

    /// Blocks for `limit` at most; `None` where there is no result yet.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<T, Error>> {
        wait_for(self, limit)
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|received| received.unwrap_or_else(|_| Err(closed())))
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static UNPARK: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

/// Blocks this thread until `future` ends, for `limit` at most.
pub fn wait_for<F: Future + Unpin>(future: &mut F, limit: Duration) -> Option<F::Output> {
    let deadline = Instant::now() + limit;
    UNPARK.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = pin!(&mut *future).poll(&mut context) {
                return Some(output);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    })
}
