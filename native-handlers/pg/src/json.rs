//! Rows as JSON: what FastAPI makes of the same rows as Python objects, but for `json` and `jsonb`, which are passed on as
//! PostgreSQL writes them.

use std::fmt::Write;
use std::str;

use bytes::Bytes;

use crate::cell::{Array, Cell};
use crate::error::{Error, ErrorKind};
use crate::moment::{civil, Moment, DAY};
use crate::rows::Rows;

/// A name as a key of an object, with its colon.
pub(crate) fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 3);
    write_text(name, &mut out);
    out.push(b':');
    out
}

/// A list of objects.
pub(crate) fn rows(rows: &Rows) -> Result<Bytes, Error> {
    let mut out = Vec::with_capacity(2 + 64 * rows.len());
    out.push(b'[');
    for row in 0..rows.len() {
        if row > 0 {
            out.push(b',');
        }
        out.push(b'{');
        for (at, (&column, key)) in rows.columns.named.iter().zip(&rows.columns.keys).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            write(&rows.cell(row, column)?, &mut out).map_err(|what| {
                let name = &rows.columns.all[column].name;
                Error::new(ErrorKind::Value, format!("column {name:?} has {what}"))
            })?;
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(out.into())
}

fn write(cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Cell::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Cell::Float(number) if number.is_finite() => write_float(*number, out),
        Cell::Float(_) => return Err("a number that JSON has not (NaN or an infinity)"),
        Cell::Numeric(text) if text.contains('.') => {
            let number: f64 = text.parse().map_err(|_| "a number that cannot be read")?;
            if !number.is_finite() {
                return Err("a number beyond those of JSON");
            }
            write_float(number, out);
        }
        Cell::Numeric(text) if text.ends_with(|last: char| last.is_ascii_digit()) => {
            out.extend_from_slice(text.as_bytes());
        }
        Cell::Numeric(_) => return Err("a number that JSON has not (NaN or an infinity)"),
        Cell::Text(text) => write_text(text, out),
        Cell::Made(text) => write_text(text, out),
        Cell::Bytes(bytes) => {
            write_text(
                str::from_utf8(bytes).map_err(|_| "bytes that are not UTF-8; select encode(it, 'base64')")?,
                out,
            );
        }
        Cell::Uuid(bytes) => write_text(&uuid(bytes), out),
        Cell::Date(days) => {
            let (year, month, day) = civil(*days).ok_or(BEYOND)?;
            write_text(&format!("{year:04}-{month:02}-{day:02}"), out);
        }
        Cell::Time(micros) => write_text(&time(*micros), out),
        Cell::Timestamp(micros) => write_text(&moment(*micros, "")?, out),
        Cell::TimestampTz(micros) => write_text(&moment(*micros, "+00:00")?, out),
        Cell::Interval { months, days, micros } => {
            let total = i64::from(in_days(*months, *days)) * DAY;
            write_float(
                total.checked_add(*micros).ok_or("an interval beyond those of Python")? as f64 / 1e6,
                out,
            );
        }
        Cell::Json(document) => out.extend_from_slice(document),
        Cell::Array(array) => {
            let mut array = array.clone();
            let dimensions = std::mem::take(&mut array.dimensions);
            write_array(&dimensions, &mut array, out)?;
        }
    }
    Ok(())
}

const BEYOND: &str = "a date that Python has not (before the year 1, after 9999, or infinity)";

/// The days of an interval, as Python's drivers count them: a year has 365, a month 30.
pub(crate) fn in_days(months: i32, days: i32) -> i32 {
    // The bounds of both are those of a few hundred thousand years.
    (months / 12).saturating_mul(365).saturating_add(months % 12 * 30).saturating_add(days)
}

fn write_array(dimensions: &[usize], array: &mut Array<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(b'[');
    if let [length, inner @ ..] = dimensions {
        for index in 0..*length {
            if index > 0 {
                out.push(b',');
            }
            if inner.is_empty() {
                write(&array.take().ok_or("an array that cannot be read")?, out)?;
            } else {
                write_array(inner, array, out)?;
            }
        }
    }
    out.push(b']');
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // A text can always be written, and memory does not refuse.
    let _ = sonic_rs::to_writer(out, text);
}

pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let _ = write!(text, ".{fraction:06}");
    }
    text
}

pub(crate) fn moment(micros: i64, zone: &str) -> Result<String, &'static str> {
    let Moment { year, month, day, micros } = Moment::from_micros(micros).ok_or(BEYOND)?;
    Ok(format!("{year:04}-{month:02}-{day:02}T{}{zone}", time(micros)))
}

/// A finite number as Python writes it: the shortest digits, an exponent below 1e-4 and from 1e16.
pub(crate) fn write_float(number: f64, out: &mut Vec<u8>) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        // Rust writes the same digits without an exponent, and leaves out the fraction of a whole number.
        let plain = number.to_string();
        out.extend_from_slice(plain.as_bytes());
        if !plain.contains('.') {
            out.extend_from_slice(b".0");
        }
        return;
    }
    out.extend_from_slice(mantissa.as_bytes());
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{in_days, key, moment, time, uuid, write, write_float};
    use crate::cell::Cell;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (123456789.123, "123456789.123"),
            (-2.5e-7, "-2.5e-07"),
        ] {
            let mut out = Vec::new();
            write_float(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn values_are_written_as_fastapi_writes_them() {
        let json = |cell: Cell<'_>| {
            let mut out = Vec::new();
            write(&cell, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(json(Cell::Numeric("1.10".into())).unwrap(), "1.1");
        assert_eq!(json(Cell::Numeric("12345678901234567890".into())).unwrap(), "12345678901234567890");
        assert!(json(Cell::Numeric("NaN".into())).is_err() && json(Cell::Float(f64::NAN)).is_err());
        assert_eq!(json(Cell::Bytes(b"ok")).unwrap(), "\"ok\"");
        assert!(json(Cell::Bytes(&[0xff])).is_err());
        assert_eq!(json(Cell::Interval { months: 13, days: 1, micros: 500_000 }).unwrap(), "34214400.5");
        assert_eq!(json(Cell::Date(0)).unwrap(), "\"2000-01-01\"");
        assert!(json(Cell::Date(i32::MAX)).is_err());
        assert_eq!(in_days(13, 1), 396);
        assert_eq!((time(1), time(86_399_000_000)), ("00:00:00.000001".into(), "23:59:59".into()));
        assert_eq!(moment(0, "+00:00").unwrap(), "2000-01-01T00:00:00+00:00");
        assert_eq!(uuid(&[0xab; 16]), "abababab-abab-abab-abab-abababababab");
        assert_eq!(key("a\"b"), br#""a\"b":"#);
    }
}
