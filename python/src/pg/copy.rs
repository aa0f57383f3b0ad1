//! `COPY`, both ways.

use std::sync::Arc;

use bimetal_pg::{copy_row, wait_for, CopyIn, CopyOut, Error, Value};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyIterator, PyList, PyMemoryView, PyString, PyTuple};

use crate::awaitable::Awaitable;
use crate::errors::{from_pg, pg_usage};
use crate::imports;
use crate::pg::arguments::row_values;
use crate::pg::loops::awaited;
use crate::pg::pool::SIGNALS;
use crate::pg::query::Source;

/// How much is collected before it is sent.
const CHUNK: usize = 64 * 1024;

impl Source {
    fn copy_in(&self, sql: &str) -> Result<CopyIn, Error> {
        match self {
            Source::Pool(pool) => pool.copy_in(sql.into()),
            Source::Transaction(transaction) => transaction.copy_in(sql.into()),
        }
    }

    fn copy_out(&self, sql: &str) -> Result<CopyOut, Error> {
        match self {
            Source::Pool(pool) => pool.copy_out(sql.into()),
            Source::Transaction(transaction) => transaction.copy_out(sql.into()),
        }
    }
}

/// Waits for what the pool's thread does, with the interpreter left to others, and signals looked after.
fn blocked<T: Send>(py: Python<'_>, future: impl std::future::Future<Output = T> + Send) -> PyResult<T> {
    let mut future = Box::pin(future);
    loop {
        match py.detach(|| wait_for(&mut future, SIGNALS)) {
            Some(output) => return Ok(output),
            None => py.check_signals()?,
        }
    }
}

/// What `source` can be read from, item by item.
fn items<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    let py = source.py();
    if is_data(source) {
        return PyTuple::new(py, [source])?.try_iter();
    }
    if let Some(read) = source.getattr_opt(intern!(py, "read"))? {
        // `iter(function, sentinel)` would need one of the two ends, b"" and "".
        return imports::PG_READ_CHUNKS.get(py)?.call1((read,))?.try_iter();
    }
    source.try_iter().map_err(|_| unfit(source))
}

fn is_data(item: &Bound<'_, PyAny>) -> bool {
    item.cast::<PyBytes>().is_ok()
        || item.cast::<PyString>().is_ok()
        || item.cast::<PyByteArray>().is_ok()
        || item.cast::<PyMemoryView>().is_ok()
}

#[cold]
fn unfit(item: &Bound<'_, PyAny>) -> PyErr {
    let class = item.get_type();
    let name = class.fully_qualified_name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!(
        "COPY takes bytes, str, a file, or an iterable of those or of rows (tuples, lists), not {name}"
    ))
}

/// Adds an item to what is to be sent: data as it is, a row in the text format.
fn add(item: &Bound<'_, PyAny>, values: &mut Vec<Value>, buffer: &mut Vec<u8>) -> PyResult<()> {
    let py = item.py();
    if item.cast::<PyTuple>().is_ok() || item.cast::<PyList>().is_ok() {
        row_values(item, values)?;
        return copy_row(values, buffer).map_err(|error| from_pg(py, &error));
    }
    if let Ok(bytes) = item.cast::<PyBytes>() {
        buffer.extend_from_slice(bytes.as_bytes());
    } else if let Ok(text) = item.cast::<PyString>() {
        buffer.extend_from_slice(text.to_str()?.as_bytes());
    } else if let Ok(bytes) = item.cast::<PyByteArray>() {
        buffer.extend_from_slice(&bytes.to_vec());
    } else if item.cast::<PyMemoryView>().is_ok() {
        let bytes = imports::BYTES.get(py)?.call1((item,))?;
        buffer.extend_from_slice(bytes.cast::<PyBytes>()?.as_bytes());
    } else {
        return Err(unfit(item));
    }
    Ok(())
}

/// Copies all of `source` into a table; how many rows there were.
pub(crate) fn copy_in(py: Python<'_>, place: &Source, sql: &str, source: &Bound<'_, PyAny>) -> PyResult<u64> {
    let items = items(source)?;
    let copy = place.copy_in(sql).map_err(|error| from_pg(py, &error))?;
    let (mut buffer, mut values) = (Vec::with_capacity(CHUNK + 4096), Vec::new());
    let send = |buffer: &mut Vec<u8>| {
        let chunk = Bytes::from(std::mem::replace(buffer, Vec::with_capacity(CHUNK + 4096)));
        blocked(py, copy.send(chunk))
    };
    let sent = (|| {
        for item in items {
            add(&item?, &mut values, &mut buffer)?;
            // Where it has ended already, its end says why.
            if buffer.len() >= CHUNK && !send(&mut buffer)? {
                return Ok(());
            }
        }
        if !buffer.is_empty() {
            send(&mut buffer)?;
        }
        Ok(())
    })();
    if let Err(error) = sent {
        blocked(py, copy.abort())?;
        return Err(error);
    }
    blocked(py, copy.finish())?.map_err(|error| from_pg(py, &error))
}

/// The same as a coroutine.
pub(crate) fn acopy_in<'py>(
    py: Python<'py>,
    place: &Source,
    sql: &str,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let asynchronous = !is_data(source) && source.hasattr(intern!(py, "__aiter__"))?;
    let items = if asynchronous { source.clone() } else { items(source)?.into_any() };
    let writer = PgCopyIn {
        place: place.clone(),
        sql: sql.into(),
        copy: Mutex::new(None),
        buffer: Mutex::new(Vec::new()),
    };
    imports::PG_COPY_IN.get(py)?.call1((writer, items, asynchronous))
}

/// What the coroutine of `acopy_in` writes to.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgCopyIn {
    place: Source,
    sql: Arc<str>,
    copy: Mutex<Option<CopyIn>>,
    buffer: Mutex<Vec<u8>>,
}

impl PgCopyIn {
    fn take(&self, py: Python<'_>) -> PyResult<CopyIn> {
        let copy = self.copy.lock().take();
        copy.ok_or_else(|| pg_usage(py, "the copy is over"))
    }
}

#[pymethods]
impl PgCopyIn {
    /// Begins it.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let copy = self.place.copy_in(&self.sql).map_err(|error| from_pg(py, &error))?;
        *self.copy.lock() = Some(copy);
        Ok(())
    }

    /// Takes an item; whether it is time to flush.
    fn add(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        // Out of its place while Python may run.
        let mut buffer = std::mem::take(&mut *self.buffer.lock());
        let added = add(item, &mut Vec::new(), &mut buffer);
        let is_full = buffer.len() >= CHUNK;
        *self.buffer.lock() = buffer;
        added.map(|()| is_full)
    }

    /// Takes items of an iterator until it is time to flush; whether there may be more.
    fn fill(&self, items: &Bound<'_, PyIterator>) -> PyResult<bool> {
        let mut buffer = std::mem::take(&mut *self.buffer.lock());
        let mut values = Vec::new();
        let filled = (|| {
            while buffer.len() < CHUNK {
                match items.clone().next() {
                    Some(item) => add(&item?, &mut values, &mut buffer)?,
                    None => return Ok(false),
                }
            }
            Ok(true)
        })();
        *self.buffer.lock() = buffer;
        filled
    }

    /// Sends what was taken; false where the copy has ended already.
    fn flush(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let chunk = Bytes::from(std::mem::take(&mut *self.buffer.lock()));
        let sending = self.copy.lock().as_ref().map(|copy| copy.send(chunk));
        let sending = sending.ok_or_else(|| pg_usage(py, "the copy is over"))?;
        awaited(py, async move { Ok(sending.await) }, |py, goes_on| {
            Ok(goes_on.into_pyobject(py)?.to_owned().into_any().unbind())
        })
    }

    /// Ends it: how many rows there were.
    fn finish(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let copy = self.take(py)?;
        awaited(py, copy.finish(), |py, rows| Ok(rows.into_pyobject(py)?.into_any().unbind()))
    }

    /// Undoes it.
    fn abort(&self) {
        let copy = self.copy.lock().take();
        drop(copy);
    }
}

/// `COPY ... TO STDOUT`, chunk by chunk.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgCopyOut {
    copy: CopyOut,
}

impl PgCopyOut {
    pub(crate) fn begin(py: Python<'_>, place: &Source, sql: &str) -> PyResult<PgCopyOut> {
        let copy = place.copy_out(sql).map_err(|error| from_pg(py, &error))?;
        Ok(PgCopyOut { copy })
    }

    fn next_chunk(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        loop {
            match py.detach(|| self.copy.wait_for(SIGNALS)) {
                Some(next) => return next.map_err(|error| from_pg(py, &error)),
                None => py.check_signals()?,
            }
        }
    }
}

#[pymethods]
impl PgCopyOut {
    /// All that is left of it.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk(py)? {
            all.extend_from_slice(&chunk);
        }
        Ok(PyBytes::new(py, &all))
    }

    /// The same, awaited.
    fn aread(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let copy = self.copy.clone();
        let reading = async move {
            let mut all = Vec::new();
            while let Some(chunk) = copy.clone().next().await? {
                all.extend_from_slice(&chunk);
            }
            Ok(all)
        };
        awaited(py, reading, |py, all: Vec<u8>| Ok(PyBytes::new(py, &all).into_any().unbind()))
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.next_chunk(py)?.map(|chunk| PyBytes::new(py, &chunk)))
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        awaited(py, self.copy.clone().next(), |py, chunk| match chunk {
            Some(chunk) => Ok(PyBytes::new(py, &chunk).into_any().unbind()),
            None => Err(pyo3::exceptions::PyStopAsyncIteration::new_err(())),
        })
    }
}
