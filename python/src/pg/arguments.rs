//! Python objects as values of PostgreSQL.

use bimetal_pg::{days, Moment, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat,
    PyInt, PyList, PyMemoryView, PyString, PyTime, PyTimeAccess, PyTuple, PyTzInfoAccess,
};

use crate::errors::pg_argument;
use crate::imports;
use crate::json;

/// Deeper lists are refused: PostgreSQL's arrays have six dimensions, and JSON has its own way.
const MAX_DEPTH: usize = 64;

/// The arguments of a statement.
pub(crate) fn values(arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<Value>> {
    let mut values = Vec::with_capacity(arguments.len());
    for (index, argument) in arguments.iter().enumerate() {
        match value(&argument, 0)? {
            Ok(value) => values.push(value),
            Err(what) => return Err(pg_argument(argument.py(), &format!("argument ${}: {what}", index + 1))),
        }
    }
    Ok(values)
}

/// The values of a row for COPY.
pub(crate) fn row_values(row: &Bound<'_, PyAny>, values: &mut Vec<Value>) -> PyResult<()> {
    values.clear();
    let mut push = |index: usize, item: Bound<'_, PyAny>| match value(&item, 0)? {
        Ok(value) => {
            values.push(value);
            Ok(())
        }
        Err(what) => Err(pg_argument(item.py(), &format!("value {} of a row for COPY: {what}", index + 1))),
    };
    if let Ok(row) = row.cast::<PyTuple>() {
        return row.iter().enumerate().try_for_each(|(index, item)| push(index, item));
    }
    row.cast::<PyList>()?.iter().enumerate().try_for_each(|(index, item)| push(index, item))
}

/// A value, or why there is none.
type Read = Result<Value, String>;

/// The value of an object. The outer error is what the object itself has raised.
fn value(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Read> {
    if object.is_none() {
        return Ok(Ok(Value::Null));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Ok(Ok(Value::Text(text.to_str()?.to_owned())));
    }
    if object.cast_exact::<PyInt>().is_ok() {
        return integer(object).map(Ok);
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Ok(Ok(Value::Float(number.value())));
    }
    if let Ok(flag) = object.cast_exact::<PyBool>() {
        return Ok(Ok(Value::Bool(flag.is_true())));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Ok(Value::Bytes(bytes.as_bytes().to_vec())));
    }
    // A datetime is a date as well.
    if let Ok(moment) = object.cast::<PyDateTime>() {
        return datetime(moment);
    }
    if let Ok(date) = object.cast::<PyDate>() {
        return Ok(Ok(Value::Date(days(date.get_year(), date.get_month(), date.get_day()))));
    }
    if object.cast::<PyList>().is_ok() || object.cast::<PyTuple>().is_ok() {
        return list(object, depth);
    }
    if object.cast::<PyDict>().is_ok() {
        return json::dumps(object).map(|document| Ok(Value::Json(document.to_vec())));
    }
    other(object, depth)
}

fn integer(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    match object.extract::<i64>() {
        Ok(number) => Ok(Value::Int(number)),
        Err(_) => {
            Ok(Value::BigInt(imports::INT.get(object.py())?.call1((object,))?.str()?.to_str()?.to_owned()))
        }
    }
}

fn list(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Read> {
    if depth == MAX_DEPTH {
        return Ok(Err("its lists are nested too deep".into()));
    }
    let mut values = Vec::with_capacity(object.len()?);
    for item in object.try_iter()? {
        match value(&item?, depth + 1)? {
            Ok(value) => values.push(value),
            Err(what) => return Ok(Err(what)),
        }
    }
    Ok(Ok(Value::List(values)))
}

fn datetime(moment: &Bound<'_, PyDateTime>) -> PyResult<Read> {
    let micros = Moment {
        year: moment.get_year(),
        month: moment.get_month(),
        day: moment.get_day(),
        micros: of_day(moment),
    }
    .to_micros();
    if moment.get_tzinfo().is_none() {
        return Ok(Ok(Value::Timestamp(micros)));
    }
    let offset = moment.call_method0(intern!(moment.py(), "utcoffset"))?;
    let Ok(offset) = offset.cast::<PyDelta>() else {
        return Ok(Err("its time zone has no offset".into()));
    };
    let (days, offset) = delta(offset);
    Ok(Ok(Value::TimestampTz(micros - i64::from(days) * bimetal_pg::DAY - offset)))
}

fn of_day(time: &impl PyTimeAccess) -> i64 {
    let seconds =
        (i64::from(time.get_hour()) * 60 + i64::from(time.get_minute())) * 60 + i64::from(time.get_second());
    seconds * 1_000_000 + i64::from(time.get_microsecond())
}

fn delta(delta: &Bound<'_, PyDelta>) -> (i32, i64) {
    (delta.get_days(), i64::from(delta.get_seconds()) * 1_000_000 + i64::from(delta.get_microseconds()))
}

/// What is looked for after all that is frequent.
fn other(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Read> {
    let py = object.py();
    if object.is_instance(imports::UUID.get(py)?)? {
        let bytes = object.getattr(intern!(py, "bytes"))?;
        let bytes: Result<[u8; 16], _> = bytes.cast::<PyBytes>()?.as_bytes().try_into();
        return Ok(bytes.map(Value::Uuid).map_err(|_| "a UUID has 16 bytes".into()));
    }
    if object.is_instance(imports::DECIMAL.get(py)?)? {
        return Ok(Ok(Value::Numeric(object.str()?.to_str()?.to_owned())));
    }
    if let Ok(time) = object.cast::<PyTime>() {
        if time.get_tzinfo().is_some() {
            return Ok(Err("a time with a time zone has no type here; pass one without".into()));
        }
        return Ok(Ok(Value::Time(of_day(time))));
    }
    if let Ok(interval) = object.cast::<PyDelta>() {
        let (days, micros) = delta(interval);
        return Ok(Ok(Value::Interval { days, micros }));
    }
    if object.is_instance(imports::ENUM.get(py)?)? {
        return value(&object.getattr(intern!(py, "value"))?, depth);
    }
    if object.is_instance(imports::PG_JSON.get(py)?)? {
        let document = imports::JSON_DUMPS.get(py)?.call1((object.getattr(intern!(py, "value"))?,))?;
        return Ok(Ok(Value::Json(document.cast::<PyString>()?.to_str()?.as_bytes().to_vec())));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Ok(Value::Bytes(bytes.to_vec())));
    }
    if object.cast::<PyMemoryView>().is_ok() {
        let bytes = imports::BYTES.get(py)?.call1((object,))?;
        return Ok(Ok(Value::Bytes(bytes.cast::<PyBytes>()?.as_bytes().to_vec())));
    }
    // Subclasses of what is frequent.
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Ok(Value::Text(text.to_str()?.to_owned())));
    }
    if object.cast::<PyInt>().is_ok() {
        return integer(object).map(Ok);
    }
    if object.cast::<PyFloat>().is_ok() {
        return Ok(Ok(Value::Float(object.extract()?)));
    }
    let class = object.get_type();
    Ok(Err(format!("{} has no type of PostgreSQL", class.fully_qualified_name()?)))
}
