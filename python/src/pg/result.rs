//! The rows of a statement, as Python sees them.

use bimetal_pg::Rows;
use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::errors::{from_pg, pg_rows};
use crate::imports;
use crate::pg::objects;

/// What a statement has given. The rows are kept as they came, and become Python objects when they are asked for.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct PgResult {
    pub(crate) rows: Rows,
}

#[pymethods]
impl PgResult {
    /// All rows, as dicts.
    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        objects::dicts(py, &self.rows)
    }

    /// The one row there is.
    fn one<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        one(py, &self.rows)
    }

    /// The one row there is, or None.
    fn one_or_none<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        one_or_none(py, &self.rows)
    }

    /// The first row, or None.
    fn first<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        first(py, &self.rows)
    }

    /// The first value of the first row, or None where there is no row.
    fn scalar<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        scalar(py, &self.rows)
    }

    /// The first value of each row.
    fn scalars<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        scalars(py, &self.rows)
    }

    /// All rows as JSON, made without Python objects.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let json = py.detach(|| self.rows.to_json()).map_err(|error| from_pg(py, &error))?;
        Ok(PyBytes::new(py, &json))
    }

    /// All rows as a response of JSON.
    #[pyo3(signature = (status_code = 200))]
    fn response<'py>(&self, py: Python<'py>, status_code: u16) -> PyResult<Bound<'py, PyAny>> {
        let json = py.detach(|| self.rows.to_json()).map_err(|error| from_pg(py, &error))?;
        response(py, &json, status_code)
    }

    /// How many rows the statement gave or changed.
    #[getter]
    fn rowcount(&self) -> u64 {
        self.rows.affected()
    }

    /// The names of the columns.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.rows.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>())
    }

    fn __len__(&self) -> usize {
        self.rows.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.all(py)?.try_iter()?.into_any())
    }

    fn __repr__(&self) -> String {
        format!("<PgResult of {} rows, rowcount {}>", self.rows.len(), self.rows.affected())
    }
}

pub(crate) fn one<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Bound<'py, PyDict>> {
    match rows.len() {
        1 => objects::dict(py, rows, 0),
        0 => {
            Err(pg_rows(py, "the statement gave no row, where one() wants one; use one_or_none() or first()"))
        }
        many => Err(pg_rows(
            py,
            &format!("the statement gave {many} rows, where one() wants one; use first() or all()"),
        )),
    }
}

pub(crate) fn one_or_none<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Option<Bound<'py, PyDict>>> {
    if rows.is_empty() {
        return Ok(None);
    }
    one(py, rows).map(Some)
}

pub(crate) fn first<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Option<Bound<'py, PyDict>>> {
    (!rows.is_empty()).then(|| objects::dict(py, rows, 0)).transpose()
}

pub(crate) fn scalar<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Bound<'py, PyAny>> {
    if rows.is_empty() || rows.columns().is_empty() {
        return Ok(py.None().into_bound(py));
    }
    objects::object(py, rows, 0, 0)
}

pub(crate) fn scalars<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Bound<'py, PyList>> {
    if rows.columns().is_empty() {
        return Ok(PyList::empty(py));
    }
    let values =
        (0..rows.len()).map(|row| objects::object(py, rows, row, 0)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, values)
}

/// A response that the lanes send as it is.
pub(crate) fn response<'py>(py: Python<'py>, json: &Bytes, status_code: u16) -> PyResult<Bound<'py, PyAny>> {
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "content"), PyBytes::new(py, json))?;
    arguments.set_item(intern!(py, "status_code"), status_code)?;
    arguments.set_item(intern!(py, "media_type"), intern!(py, "application/json"))?;
    imports::STARLETTE_RESPONSE.get(py)?.call((), Some(&arguments))
}
