//! `PgPool`: settings, start and end, and what a pool has in common with a transaction.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bimetal_pg::{Begin, Pool, PoolConfig, Reply};
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tokio::sync::oneshot;

use crate::awaitable::Awaitable;
use crate::errors::{from_pg, pg_usage};
use crate::pg::arguments::values;
use crate::pg::copy::{self, PgCopyOut};
use crate::pg::loops::awaited;
use crate::pg::query::{PgQuery, Source};
use crate::pg::result::PgResult;
use crate::pg::transaction::PgTransaction;
use crate::settings::seconds;

/// How often a thread that waits looks for signals.
pub(crate) const SIGNALS: Duration = Duration::from_millis(100);

/// How often this process was forked off another. A pool that was started before has its thread and its connections there.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Called in the child, when the process has been forked.
#[pyfunction]
pub(crate) fn pg_forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A pool of connections to PostgreSQL, on a thread of its own, which starts with the first use.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgPool {
    config: PoolConfig,
    /// The number of forks at its start, and one more; 0 before the start.
    started: AtomicUsize,
    state: Mutex<State>,
}

enum State {
    New,
    Open(Arc<Pool>),
    Closed,
}

impl Drop for PgPool {
    fn drop(&mut self) {
        if self.is_foreign() {
            if let State::Open(pool) = self.state.get_mut() {
                pool.forget();
            }
        }
    }
}

impl PgPool {
    fn is_foreign(&self) -> bool {
        let started = self.started.load(Ordering::Relaxed);
        started != 0 && started != FORKS.load(Ordering::Relaxed) + 1
    }

    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_foreign() {
            return Err(pg_usage(
                py,
                "this pool was opened before the process was forked, and its connections are the parent's; open pools after the fork",
            ));
        }
        Ok(())
    }

    /// The pool, which is started if it is new.
    fn pool(&self, py: Python<'_>) -> PyResult<Arc<Pool>> {
        self.check_process(py)?;
        // Not held while Python may run: a start attaches to nothing.
        let mut state = self.state.lock();
        match &*state {
            State::Open(pool) => Ok(Arc::clone(pool)),
            State::Closed => {
                drop(state);
                Err(pg_usage(py, "the pool is closed; open() opens it again"))
            }
            State::New => match Pool::start(self.config.clone()) {
                Ok(pool) => {
                    let pool = Arc::new(pool);
                    *state = State::Open(Arc::clone(&pool));
                    self.started.store(FORKS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    Ok(pool)
                }
                Err(error) => {
                    drop(state);
                    Err(from_pg(py, &error))
                }
            },
        }
    }

    pub(crate) fn source(&self, py: Python<'_>) -> PyResult<Source> {
        Ok(Source::Pool(self.pool(py)?))
    }

    /// Takes the pool out, to be closed.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Arc<Pool>>> {
        self.check_process(py)?;
        let mut state = self.state.lock();
        Ok(match std::mem::replace(&mut *state, State::Closed) {
            State::Open(pool) => Some(pool),
            State::New | State::Closed => None,
        })
    }
}

/// Waits for a result, with the interpreter left to others, and signals looked after.
pub(crate) fn wait<T: Send>(py: Python<'_>, mut reply: Reply<T>) -> PyResult<T> {
    loop {
        match py.detach(|| reply.wait_for(SIGNALS)) {
            Some(result) => return result.map_err(|error| from_pg(py, &error)),
            None => py.check_signals()?,
        }
    }
}

/// Runs a statement and waits for its rows.
pub(crate) fn exec(
    py: Python<'_>,
    source: &Source,
    sql: &str,
    args: &Bound<'_, PyTuple>,
) -> PyResult<PgResult> {
    let reply = source.query(sql.into(), values(args)?, Ok).map_err(|error| from_pg(py, &error))?;
    Ok(PgResult { rows: wait(py, reply)? })
}

/// The settings of a transaction, as Python names them.
pub(crate) fn begin(isolation: Option<&str>, read_only: bool, deferrable: bool) -> PyResult<Begin> {
    let isolation = match isolation {
        None => None,
        Some(name) => Some(match name.to_ascii_lowercase().replace('_', " ").as_str() {
            "serializable" => "SERIALIZABLE",
            "repeatable read" => "REPEATABLE READ",
            "read committed" => "READ COMMITTED",
            _ => {
                return Err(PyValueError::new_err(format!(
                    "isolation={name:?} is unknown; use \"serializable\", \"repeatable read\" or \"read committed\""
                )))
            }
        }),
    };
    Ok(Begin { isolation, read_only, deferrable })
}

#[pymethods]
impl PgPool {
    #[new]
    #[pyo3(signature = (
        dsn, min_size = 1, max_size = 10, *, connect_timeout = 2.0, checkout_timeout = 1.5, statement_timeout = Some(30.0),
        idle_timeout = 300.0, statement_cache = 256, max_waiting = 4096, max_result = 268_435_456, application_name = "bimetal"), text_signature = "(dsn, min_size=1, max_size=10, *, connect_timeout=2.0, checkout_timeout=1.5, statement_timeout=30.0, \
        idle_timeout=300.0, statement_cache=256, max_waiting=4096, max_result=268435456, application_name=\"bimetal\")")]
    #[expect(clippy::too_many_arguments, reason = "the settings, by name")]
    fn new(
        py: Python<'_>,
        dsn: String,
        min_size: usize,
        max_size: usize,
        connect_timeout: f64,
        checkout_timeout: f64,
        statement_timeout: Option<f64>,
        idle_timeout: f64,
        statement_cache: usize,
        max_waiting: usize,
        max_result: usize,
        application_name: &str,
    ) -> PyResult<Self> {
        let config = PoolConfig {
            dsn,
            min_size,
            max_size,
            connect_timeout: seconds("connect_timeout", connect_timeout)?,
            checkout_timeout: seconds("checkout_timeout", checkout_timeout)?,
            statement_timeout: statement_timeout
                .map(|timeout| seconds("statement_timeout", timeout))
                .transpose()?,
            idle_timeout: seconds("idle_timeout", idle_timeout)?,
            statement_cache,
            max_waiting,
            max_result,
            application_name: application_name.to_owned(),
        };
        config.check().map_err(|error| from_pg(py, &error))?;
        Ok(PgPool { config, started: AtomicUsize::new(0), state: Mutex::new(State::New) })
    }

    /// Starts the pool's thread, which opens the first connections; also again after `close`.
    fn open(&self, py: Python<'_>) -> PyResult<()> {
        {
            let mut state = self.state.lock();
            if matches!(*state, State::Closed) {
                *state = State::New;
            }
        }
        self.pool(py).map(drop)
    }

    /// Closes every connection, after what runs has ended or `timeout` seconds have passed; whether it has.
    #[pyo3(signature = (timeout = 5.0))]
    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds("timeout", timeout)?;
        Ok(match self.take(py)? {
            Some(pool) => py.detach(|| pool.close(timeout)),
            None => true,
        })
    }

    /// The same, awaited.
    #[pyo3(signature = (timeout = 5.0))]
    fn aclose(&self, py: Python<'_>, timeout: f64) -> PyResult<Py<Awaitable>> {
        let timeout = seconds("timeout", timeout)?;
        let pool = self.take(py)?;
        let (done, ended) = oneshot::channel();
        let closing = move || {
            let _ = done.send(pool.is_none_or(|pool| pool.close(timeout)));
        };
        thread::Builder::new().name("bimetal-pg-close".into()).spawn(closing)?;
        let finish =
            |py: Python<'_>, ended: bool| Ok(ended.into_pyobject(py)?.to_owned().into_any().unbind());
        awaited(py, async move { Ok(ended.await.unwrap_or(false)) }, finish)
    }

    /// How the pool does.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.check_process(py)?;
        let pool = match &*self.state.lock() {
            State::Open(pool) => Some(Arc::clone(pool)),
            _ => None,
        };
        let figures = pool.map(|pool| pool.figures());
        let stats = PyDict::new(py);
        stats.set_item("max_size", self.config.max_size)?;
        stats.set_item("size", figures.map_or(0, |figures| figures.size))?;
        stats.set_item("idle", figures.map_or(0, |figures| figures.idle))?;
        stats.set_item("waiting", figures.map_or(0, |figures| figures.waiting))?;
        stats.set_item("running", figures.map_or(0, |figures| figures.running))?;
        Ok(stats)
    }

    /// Runs a statement and waits for its result, with the interpreter left to others.
    #[pyo3(signature = (sql, /, *args))]
    fn exec(&self, py: Python<'_>, sql: &str, args: &Bound<'_, PyTuple>) -> PyResult<PgResult> {
        exec(py, &self.source(py)?, sql, args)
    }

    /// A statement to be awaited.
    #[pyo3(signature = (sql, /, *args))]
    fn aexec(&self, py: Python<'_>, sql: &str, args: &Bound<'_, PyTuple>) -> PyResult<PgQuery> {
        Ok(PgQuery::new(self.source(py)?, sql.into(), values(args)?))
    }

    /// A transaction, for `with` and `async with`.
    #[pyo3(signature = (*, isolation = None, read_only = false, deferrable = false))]
    fn transaction(
        &self,
        py: Python<'_>,
        isolation: Option<&str>,
        read_only: bool,
        deferrable: bool,
    ) -> PyResult<PgTransaction> {
        Ok(PgTransaction::new(self.source(py)?, begin(isolation, read_only, deferrable)?))
    }

    /// `COPY ... FROM STDIN`: bytes, a file, an iterable of bytes or of rows; how many rows there were.
    fn copy_in(&self, py: Python<'_>, sql: &str, source: &Bound<'_, PyAny>) -> PyResult<u64> {
        copy::copy_in(py, &self.source(py)?, sql, source)
    }

    /// The same, awaited; the iterable may be an asynchronous one.
    fn acopy_in<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        source: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        copy::acopy_in(py, &self.source(py)?, sql, source)
    }

    /// `COPY ... TO STDOUT`, as an iterable of bytes, an asynchronous one, too.
    fn copy_out(&self, py: Python<'_>, sql: &str) -> PyResult<PgCopyOut> {
        PgCopyOut::begin(py, &self.source(py)?, sql)
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        slf.get().open(py)?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py, 5.0).map(drop)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a pool cannot be pickled: its connections belong to this process"))
    }

    fn __repr__(&self) -> String {
        format!("<PgPool of at most {} connections>", self.config.max_size)
    }
}
