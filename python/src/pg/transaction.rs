//! Transactions, for `with` and `async with`.

use std::sync::Arc;

use bimetal_pg::{Begin, Error, Reply, Transaction};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::awaitable::Awaitable;
use crate::errors::{from_pg, pg_usage};
use crate::pg::arguments::values;
use crate::pg::copy::{self, PgCopyOut};
use crate::pg::loops::awaited;
use crate::pg::pool::{self, wait};
use crate::pg::query::{PgQuery, Source};
use crate::pg::result::PgResult;

/// A transaction, or a savepoint within one. Entered, it has a connection; left, it is committed, or rolled back by an exception.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgTransaction {
    parent: Source,
    begin: Begin,
    state: Mutex<State>,
}

enum State {
    New,
    Entered,
    Running(Arc<Transaction>),
    Over,
}

impl PgTransaction {
    pub(crate) fn new(parent: Source, begin: Begin) -> PgTransaction {
        PgTransaction { parent, begin, state: Mutex::new(State::New) }
    }

    /// Begins it, once.
    fn start(&self, py: Python<'_>) -> PyResult<Reply<Transaction>> {
        {
            let mut state = self.state.lock();
            if !matches!(*state, State::New) {
                drop(state);
                return Err(pg_usage(py, "a transaction is entered once; call transaction() again"));
            }
            *state = State::Entered;
        }
        let begun = match &self.parent {
            Source::Pool(pool) => pool.begin(self.begin),
            Source::Transaction(transaction) => transaction.savepoint(),
        };
        begun.map_err(|error| from_pg(py, &error))
    }

    fn begun(&self, transaction: Transaction) {
        *self.state.lock() = State::Running(Arc::new(transaction));
    }

    fn running(&self, py: Python<'_>) -> PyResult<Arc<Transaction>> {
        let why = match &*self.state.lock() {
            State::Running(transaction) => return Ok(Arc::clone(transaction)),
            State::New | State::Entered => {
                "the transaction has not begun; `with pg.transaction() as tx:` begins it"
            }
            State::Over => "the transaction is over",
        };
        Err(pg_usage(py, why))
    }

    fn source(&self, py: Python<'_>) -> PyResult<Source> {
        self.running(py).map(Source::Transaction)
    }

    /// Ends it: what is to be waited for, where it runs.
    fn end(&self, raised: bool) -> Option<Result<Reply<()>, Error>> {
        let state = std::mem::replace(&mut *self.state.lock(), State::Over);
        let State::Running(transaction) = state else { return None };
        Some(if raised { transaction.rollback() } else { transaction.commit() })
    }
}

#[pymethods]
impl PgTransaction {
    /// Runs a statement in it and waits for its result.
    #[pyo3(signature = (sql, /, *args))]
    fn exec(&self, py: Python<'_>, sql: &str, args: &Bound<'_, PyTuple>) -> PyResult<PgResult> {
        pool::exec(py, &self.source(py)?, sql, args)
    }

    /// A statement in it, to be awaited.
    #[pyo3(signature = (sql, /, *args))]
    fn aexec(&self, py: Python<'_>, sql: &str, args: &Bound<'_, PyTuple>) -> PyResult<PgQuery> {
        Ok(PgQuery::new(self.source(py)?, sql.into(), values(args)?))
    }

    /// A savepoint within it, for `with` and `async with`.
    fn transaction(&self, py: Python<'_>) -> PyResult<PgTransaction> {
        Ok(PgTransaction::new(self.source(py)?, Begin::default()))
    }

    fn copy_in(&self, py: Python<'_>, sql: &str, source: &Bound<'_, PyAny>) -> PyResult<u64> {
        copy::copy_in(py, &self.source(py)?, sql, source)
    }

    fn acopy_in<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        source: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        copy::acopy_in(py, &self.source(py)?, sql, source)
    }

    fn copy_out(&self, py: Python<'_>, sql: &str) -> PyResult<PgCopyOut> {
        PgCopyOut::begin(py, &self.source(py)?, sql)
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        let transaction = wait(py, slf.get().start(py)?)?;
        slf.get().begun(transaction);
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let raised = !kind.is_none();
        let ended = match self.end(raised) {
            None => Ok(()),
            Some(Ok(reply)) => wait(py, reply),
            Some(Err(error)) => Err(from_pg(py, &error)),
        };
        // What was raised within says more than that the connection could not roll it back: that is closed then.
        if raised {
            Ok(false)
        } else {
            ended.map(|()| false)
        }
    }

    fn __aenter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let reply = slf.get().start(py)?;
        awaited(py, reply, move |_, transaction| {
            slf.get().begun(transaction);
            Ok(slf.into_any())
        })
    }

    fn __aexit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<Py<Awaitable>> {
        let raised = !kind.is_none();
        let ended = self.end(raised);
        let finish = |py: Python<'_>, ()| Ok(false.into_pyobject(py)?.to_owned().into_any().unbind());
        let end = async move {
            let result = match ended {
                None => Ok(()),
                Some(Ok(reply)) => reply.await,
                Some(Err(error)) => Err(error),
            };
            if raised {
                Ok(())
            } else {
                result
            }
        };
        awaited(py, end, finish)
    }
}
