//! Python objects to JSON bytes.

use std::borrow::Cow;
use std::ffi::CStr;

use bytes::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::imports;

/// Deeper values are left to Python, which has its own idea of how deep is too deep.
const MAX_DEPTH: usize = 128;

/// `value` as FastAPI renders a result without a response model: jsonable_encoder, then compact JSON.
pub(crate) fn dumps(value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Some(bytes) = dumps_plain(value) {
        return Ok(bytes);
    }
    let rendered = imports::RENDER_JSON.get(value.py())?.call1((value,))?;
    Ok(Bytes::copy_from_slice(rendered.cast::<PyBytes>()?.as_bytes()))
}

/// The same for plain data: dicts with string keys, lists, tuples, strings, numbers, booleans and None, each of exactly
/// that type. `None` for anything else.
pub(crate) fn dumps_plain(value: &Bound<'_, PyAny>) -> Option<Bytes> {
    let mut out = Vec::with_capacity(128);
    write(value, &mut out, 0)?;
    Some(out.into())
}

fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return write_text(&text_of(text)?, out);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        out.push(b'{');
        let mut first = true;
        for (key, value) in entries(dict)? {
            let key = text_of(key.cast_exact::<PyString>().ok()?)?;
            // jsonable_encoder leaves out the attributes SQLAlchemy puts into an instance's __dict__.
            if key.starts_with("_sa") {
                return None;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            write_text(&key, out)?;
            out.push(b':');
            write(&value, out, depth + 1)?;
        }
        out.push(b'}');
        return Some(());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return write_items(list.iter(), out, depth);
    }
    if value.is_none() {
        out.extend_from_slice(b"null");
        return Some(());
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        out.extend_from_slice(if flag.is_true() { b"true" } else { b"false" });
        return Some(());
    }
    if value.cast_exact::<PyInt>().is_ok() {
        // Beyond 64 bits Python writes the digits.
        out.extend_from_slice(itoa::Buffer::new().format(value.extract::<i64>().ok()?).as_bytes());
        return Some(());
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return write_float(number.value(), out);
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return write_items(tuple.iter(), out, depth);
    }
    None
}

fn write_items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Option<()> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&item, out, depth + 1)?;
    }
    out.push(b']');
    Some(())
}

type Entry<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The keys and values of a dict. While it is iterated it must not change, and nothing here lets another thread in.
#[cfg(not(Py_GIL_DISABLED))]
fn entries<'py>(dict: &Bound<'py, PyDict>) -> Option<impl Iterator<Item = Entry<'py>>> {
    Some(dict.iter())
}

/// The same of a copy, made in one step: another thread may be changing the dict.
#[cfg(Py_GIL_DISABLED)]
fn entries<'py>(dict: &Bound<'py, PyDict>) -> Option<impl Iterator<Item = Entry<'py>>> {
    Some(dict.copy().ok()?.iter())
}

/// A string. `None` for lone surrogates, for which Python raises.
#[cfg(not(all(Py_GIL_DISABLED, not(Py_3_14))))]
fn text_of<'a>(text: &'a Bound<'_, PyString>) -> Option<Cow<'a, str>> {
    text.to_str().ok().map(Cow::Borrowed)
}

/// The same without what CPython keeps in the string as its UTF-8: 3.13.0 and 3.13.1 put that there without a lock, and
/// threads that ask at once may see the half of it (cpython#128013).
#[cfg(all(Py_GIL_DISABLED, not(Py_3_14)))]
fn text_of<'a>(text: &'a Bound<'_, PyString>) -> Option<Cow<'a, str>> {
    use pyo3::types::PyStringData;

    // SAFETY: attached, and `text` lives as long as what is borrowed from it; no string is changed once others can see it.
    match unsafe { text.data() }.ok()? {
        PyStringData::Ucs1(bytes) if bytes.is_ascii() => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        PyStringData::Ucs1(bytes) => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
        PyStringData::Ucs2(units) => units.iter().map(|&unit| char::from_u32(unit.into())).collect(),
        PyStringData::Ucs4(units) => units.iter().map(|&unit| char::from_u32(unit)).collect(),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    sonic_rs::to_writer(out, text).ok()
}

/// As `float.__repr__`, which `json.dumps` uses. Infinities and NaN are for Python to refuse.
fn write_float(number: f64, out: &mut Vec<u8>) -> Option<()> {
    if !number.is_finite() {
        return None;
    }
    // SAFETY: attached (a float was read just now). The format is one of those allowed; the last argument may be null. The
    // result is a C string that is ours to free with PyMem_Free, or null without memory.
    unsafe {
        let text =
            ffi::PyOS_double_to_string(number, b'r' as _, 0, ffi::Py_DTSF_ADD_DOT_0, std::ptr::null_mut());
        if text.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        out.extend_from_slice(CStr::from_ptr(text).to_bytes());
        ffi::PyMem_Free(text.cast());
    }
    Some(())
}
