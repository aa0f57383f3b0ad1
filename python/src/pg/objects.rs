//! Values of PostgreSQL as Python objects.

use bimetal_pg::{civil, interval_days, Array, Cell, Moment, Rows};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTime, PyTzInfo,
};

use crate::errors::{from_pg, pg_value};
use crate::imports;
use crate::json;

/// From so many rows on a row is a copy of one that has the keys already.
const MANY: usize = 4;

/// The rows from `from` on, as dicts.
pub(crate) fn dicts<'py>(py: Python<'py>, rows: &Rows) -> PyResult<Bound<'py, PyList>> {
    let keys = keys(py, rows);
    let template = if rows.len() >= MANY { Some(template(py, &keys)?) } else { None };
    let mut made = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        made.push(fill(py, rows, row, &keys, template.as_ref())?);
    }
    PyList::new(py, made)
}

/// One row as a dict.
pub(crate) fn dict<'py>(py: Python<'py>, rows: &Rows, row: usize) -> PyResult<Bound<'py, PyDict>> {
    fill(py, rows, row, &keys(py, rows), None)
}

/// The value of a column in a row.
pub(crate) fn object<'py>(
    py: Python<'py>,
    rows: &Rows,
    row: usize,
    column: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let cell = rows.cell(row, column).map_err(|error| from_pg(py, &error))?;
    convert(py, cell).map_err(|error| match error {
        Failure::Raised(error) => error,
        Failure::Beyond(what) => {
            let name = &rows.columns()[column].name;
            pg_value(py, &format!("column {name:?} has {what}; select {name}::text"))
        }
    })
}

fn keys<'py>(py: Python<'py>, rows: &Rows) -> Vec<Bound<'py, PyString>> {
    let columns = rows.columns();
    rows.named().iter().map(|&column| PyString::intern(py, &columns[column].name)).collect()
}

fn template<'py>(py: Python<'py>, keys: &[Bound<'py, PyString>]) -> PyResult<Bound<'py, PyDict>> {
    let template = PyDict::new(py);
    for key in keys {
        template.set_item(key, py.None())?;
    }
    Ok(template)
}

fn fill<'py>(
    py: Python<'py>,
    rows: &Rows,
    row: usize,
    keys: &[Bound<'py, PyString>],
    template: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = match template {
        Some(template) => template.copy()?,
        None => PyDict::new(py),
    };
    for (&column, key) in rows.named().iter().zip(keys) {
        dict.set_item(key, object(py, rows, row, column)?)?;
    }
    Ok(dict)
}

enum Failure {
    Raised(PyErr),
    /// Something that Python has no object for.
    Beyond(&'static str),
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Raised(error)
    }
}

const BEYOND: Failure =
    Failure::Beyond("a date that Python has not (before the year 1, after 9999, or infinity)");

fn convert<'py>(py: Python<'py>, cell: Cell<'_>) -> Result<Bound<'py, PyAny>, Failure> {
    Ok(match cell {
        Cell::Null => py.None().into_bound(py),
        Cell::Bool(flag) => PyBool::new(py, flag).to_owned().into_any(),
        Cell::Int(number) => PyInt::new(py, number).into_any(),
        Cell::Float(number) => PyFloat::new(py, number).into_any(),
        Cell::Text(text) => PyString::new(py, text).into_any(),
        Cell::Made(text) => PyString::new(py, &text).into_any(),
        Cell::Numeric(text) => imports::DECIMAL.get(py)?.call1((text,))?,
        Cell::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Cell::Uuid(bytes) => uuid(py, bytes)?,
        Cell::Date(days) => {
            let (year, month, day) = civil(days).ok_or(BEYOND)?;
            PyDate::new(py, year, month, day)?.into_any()
        }
        Cell::Time(micros) => {
            let (hour, minute, second, micro) = clock(micros);
            if hour > 23 {
                return Err(Failure::Beyond("a time that Python has not (24:00)"));
            }
            PyTime::new(py, hour, minute, second, micro, None)?.into_any()
        }
        Cell::Timestamp(micros) => datetime(py, micros, None)?,
        Cell::TimestampTz(micros) => datetime(py, micros, Some(&*PyTzInfo::utc(py)?))?,
        Cell::Interval { months, days, micros } => {
            let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            let days = i64::from(interval_days(months, days)) + seconds.div_euclid(86_400);
            let days = i32::try_from(days).map_err(|_| Failure::Beyond("an interval that Python has not"))?;
            PyDelta::new(py, days, seconds.rem_euclid(86_400) as i32, micros as i32, true)?.into_any()
        }
        Cell::Json(document) => json::loads(py, document)?.into_bound(py),
        Cell::Array(mut array) => {
            let dimensions = std::mem::take(&mut array.dimensions);
            list(py, &dimensions, &mut array)?
        }
    })
}

fn list<'py>(
    py: Python<'py>,
    dimensions: &[usize],
    array: &mut Array<'_>,
) -> Result<Bound<'py, PyAny>, Failure> {
    let list = PyList::empty(py);
    if let [length, inner @ ..] = dimensions {
        for _ in 0..*length {
            let item = if inner.is_empty() {
                convert(py, array.take().ok_or(Failure::Beyond("an array that cannot be read"))?)?
            } else {
                self::list(py, inner, array)?
            };
            list.append(item)?;
        }
    }
    Ok(list.into_any())
}

fn clock(micros: i64) -> (u8, u8, u8, u32) {
    let seconds = micros / 1_000_000;
    // Of one day: each fits.
    ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8, (micros % 1_000_000) as u32)
}

fn datetime<'py>(
    py: Python<'py>,
    micros: i64,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> Result<Bound<'py, PyAny>, Failure> {
    let Moment { year, month, day, micros } = Moment::from_micros(micros).ok_or(BEYOND)?;
    let (hour, minute, second, micro) = clock(micros);
    Ok(PyDateTime::new(py, year, month, day, hour, minute, second, micro, zone)?.into_any())
}

/// A `uuid.UUID`, without its constructor, which reads text and takes longer than a statement's whole row.
fn uuid(py: Python<'_>, bytes: [u8; 16]) -> PyResult<Bound<'_, PyAny>> {
    static IS_SAFE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = imports::UUID.get(py)?;
    let object = class.call_method1(intern!(py, "__new__"), (class,))?;
    let is_safe = IS_SAFE.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("uuid")?.getattr("SafeUUID")?.getattr("unknown")?.unbind())
    })?;
    let number = u128::from_be_bytes(bytes).into_pyobject(py)?;
    for (name, value) in [(intern!(py, "int"), number.as_ptr()), (intern!(py, "is_safe"), is_safe.as_ptr())] {
        // SAFETY: attached, and all three are live objects. It is what `object.__setattr__` does, which the class itself uses.
        if unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value) } != 0 {
            return Err(PyErr::fetch(py));
        }
    }
    Ok(object)
}
