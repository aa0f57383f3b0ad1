//! A statement that is awaited.

use std::sync::Arc;

use bimetal_pg::{Error, Pool, Reply, Rows, Transaction, Value};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::awaitable::Awaitable;
use crate::errors::from_pg;
use crate::pg::loops::awaited;
use crate::pg::result::{self, PgResult};

/// Where statements run.
#[derive(Clone)]
pub(crate) enum Source {
    Pool(Arc<Pool>),
    Transaction(Arc<Transaction>),
}

impl Source {
    pub(crate) fn query<T: Send + 'static>(
        &self,
        sql: Arc<str>,
        arguments: Vec<Value>,
        finish: fn(Rows) -> Result<T, Error>,
    ) -> Result<Reply<T>, Error> {
        match self {
            Source::Pool(pool) => pool.query(sql, arguments, finish),
            Source::Transaction(transaction) => transaction.query(sql, arguments, finish),
        }
    }
}

/// Where a statement is to run, its text and its arguments.
type Statement = (Source, Arc<str>, Vec<Value>);

/// A statement and its arguments. It is sent when it is awaited, or when one of its methods is called.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgQuery {
    statement: Mutex<Option<Statement>>,
}

impl PgQuery {
    pub(crate) fn new(source: Source, sql: Arc<str>, arguments: Vec<Value>) -> PgQuery {
        PgQuery { statement: Mutex::new(Some((source, sql, arguments))) }
    }

    fn send<T: Send + 'static>(
        &self,
        py: Python<'_>,
        make: fn(Rows) -> Result<T, Error>,
        finish: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<Awaitable>> {
        let taken = self.statement.lock().take();
        let (source, sql, arguments) = taken
            .ok_or_else(|| PyRuntimeError::new_err("this statement was sent already; call aexec() again"))?;
        let reply = source.query(sql, arguments, make).map_err(|error| from_pg(py, &error))?;
        awaited(py, reply, finish)
    }

    fn rows(
        &self,
        py: Python<'_>,
        finish: impl FnOnce(Python<'_>, &Rows) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<Awaitable>> {
        self.send(py, Ok, move |py, rows| finish(py, &rows))
    }
}

#[pymethods]
impl PgQuery {
    /// Sends it; ends with its result.
    fn __await__(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.send(py, Ok, |py, rows| Ok(Py::new(py, PgResult { rows })?.into_any()))
    }

    fn all(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(super::objects::dicts(py, rows)?.into_any().unbind()))
    }

    fn one(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(result::one(py, rows)?.into_any().unbind()))
    }

    fn one_or_none(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(result::one_or_none(py, rows)?.into_pyobject(py)?.into_any().unbind()))
    }

    fn first(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(result::first(py, rows)?.into_pyobject(py)?.into_any().unbind()))
    }

    fn scalar(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(result::scalar(py, rows)?.unbind()))
    }

    fn scalars(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.rows(py, |py, rows| Ok(result::scalars(py, rows)?.into_any().unbind()))
    }

    fn json(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.send(
            py,
            |rows| rows.to_json(),
            |py, json: Bytes| Ok(PyBytes::new(py, &json).into_any().unbind()),
        )
    }

    #[pyo3(signature = (status_code = 200))]
    fn response(&self, py: Python<'_>, status_code: u16) -> PyResult<Py<Awaitable>> {
        let finish =
            move |py: Python<'_>, json: Bytes| Ok(result::response(py, &json, status_code)?.unbind());
        self.send(py, |rows| rows.to_json(), finish)
    }
}
