//! JSON bytes to Python objects.

use std::fmt;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use pyo3::IntoPyObjectExt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::imports;

/// Deeper documents are left to Python, which has its own idea of how deep is too deep.
const MAX_DEPTH: usize = 128;
/// So many digits in a row may be a number that 64 bits cannot hold.
const LONG_NUMBER: usize = 19;

/// What `json.loads(data)` gives.
pub(crate) fn loads(py: Python<'_>, data: &[u8]) -> PyResult<Py<PyAny>> {
    if let Some(value) = loads_plain(py, data) {
        return Ok(value);
    }
    // Whatever it is (an integer of 30 digits, NaN, a surrogate, UTF-16, an error): Python says.
    Ok(imports::JSON_LOADS.get(py)?.call1((PyBytes::new(py, data),))?.unbind())
}

/// Whether `json.loads` is what it was when this module was imported.
pub(crate) fn is_pythons_own(py: Python<'_>) -> PyResult<bool> {
    let now = imports::JSON_NAMES.get(py)?.get_item(intern!(py, "loads"))?;
    Ok(now.is(imports::JSON_LOADS.get(py)?))
}

fn loads_plain(py: Python<'_>, data: &[u8]) -> Option<Py<PyAny>> {
    if has_long_number(data) || has_negative_zero(data) {
        return None;
    }
    let mut deserializer = sonic_rs::Deserializer::from_slice(data);
    let value = Build { py, depth: 0 }.deserialize(&mut deserializer).ok()?;
    // Nothing but white space may follow.
    deserializer.end().ok()?;
    Some(value)
}

fn has_long_number(data: &[u8]) -> bool {
    let mut run = 0;
    for byte in data {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        if run >= LONG_NUMBER {
            return true;
        }
    }
    false
}

/// Whether some number may be minus zero: `-0` is an integer for Python and `-0.0` is not, and the parser drops the sign.
fn has_negative_zero(data: &[u8]) -> bool {
    memchr::memmem::find_iter(data, b"-0").any(|at| {
        let digits = &data[at + 2..];
        let zeros = digits.iter().take_while(|byte| matches!(byte, b'0' | b'.')).count();
        !digits.get(zeros).is_some_and(u8::is_ascii_digit)
    })
}

/// Builds a Python object from what the parser sees.
#[derive(Clone, Copy)]
struct Build<'py> {
    py: Python<'py>,
    depth: usize,
}

impl<'py> Build<'py> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Build { depth: self.depth + 1, ..self })
    }

    fn object<E: Error>(self, value: impl IntoPyObjectExt<'py>) -> Result<Py<PyAny>, E> {
        value.into_py_any(self.py).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Py<PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Py<PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.py.None())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.object(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.py, value).into_any().unbind())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let list = PyList::empty(self.py);
        let inner = self.deeper()?;
        while let Some(item) = items.next_element_seed(inner)? {
            list.append(item).map_err(A::Error::custom)?;
        }
        Ok(list.into_any().unbind())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.py);
        let inner = self.deeper()?;
        while let Some(key) = entries.next_key_seed(inner)? {
            let value = entries.next_value_seed(inner)?;
            dict.set_item(key, value).map_err(A::Error::custom)?;
        }
        Ok(dict.into_any().unbind())
    }
}
