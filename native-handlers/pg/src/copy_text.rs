//! Rows for `COPY ... FROM STDIN`, in its text format: values separated by tabs, a line for each row.

use std::fmt::Write;

use crate::error::{Error, ErrorKind};
use crate::json::{moment, time, uuid, write_float};
use crate::moment::civil;
use crate::value::Value;

/// Adds a row.
pub fn copy_row(values: &[Value], out: &mut Vec<u8>) -> Result<(), Error> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        match value {
            Value::Null => out.extend_from_slice(b"\\N"),
            Value::Text(text) => escape(text.as_bytes(), out),
            Value::Json(document) => escape(document, out),
            Value::List(items) => {
                let mut literal = String::new();
                write_list(items, &mut literal).map_err(|what| {
                    Error::new(ErrorKind::Argument, format!("value {} of a row for COPY: {what}", index + 1))
                })?;
                escape(literal.as_bytes(), out);
            }
            Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Value::Float(number) if number.is_finite() => write_float(*number, out),
            plain => {
                let mut text = String::new();
                write_plain(plain, &mut text).map_err(|what| {
                    Error::new(ErrorKind::Argument, format!("value {} of a row for COPY: {what}", index + 1))
                })?;
                escape(text.as_bytes(), out);
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

/// Text with the characters that have a meaning to `COPY` escaped.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\t",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A value as PostgreSQL reads it.
fn write_plain(value: &Value, text: &mut String) -> Result<(), &'static str> {
    const BEYOND: &str = "a date that cannot be written";
    // Writing to a string does not fail.
    let _ = match value {
        Value::Null => text.write_str("NULL"),
        Value::Bool(flag) => text.write_str(if *flag { "t" } else { "f" }),
        Value::Int(number) => write!(text, "{number}"),
        Value::Float(number) if number.is_nan() => text.write_str("NaN"),
        Value::Float(number) if number.is_infinite() => {
            text.write_str(if *number > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Value::Float(number) => write!(text, "{number:e}"),
        Value::BigInt(digits) | Value::Numeric(digits) => text.write_str(digits),
        Value::Text(content) => text.write_str(content),
        Value::Bytes(bytes) => {
            text.push_str("\\x");
            bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))
        }
        Value::Uuid(bytes) => text.write_str(&uuid(bytes)),
        Value::Date(days) => {
            let (year, month, day) = civil(*days).ok_or(BEYOND)?;
            write!(text, "{year:04}-{month:02}-{day:02}")
        }
        Value::Time(micros) => text.write_str(&time(*micros)),
        Value::Timestamp(micros) => text.write_str(&moment(*micros, "").map_err(|_| BEYOND)?),
        Value::TimestampTz(micros) => text.write_str(&moment(*micros, "+00").map_err(|_| BEYOND)?),
        Value::Interval { days, micros } => write!(text, "{days} days {micros} microseconds"),
        Value::Json(document) => {
            text.push_str(std::str::from_utf8(document).map_err(|_| "a document that is not UTF-8")?);
            Ok(())
        }
        Value::List(_) => return Err("a list where a value is expected"),
    };
    Ok(())
}

/// A list as the text of an array.
fn write_list(items: &[Value], text: &mut String) -> Result<(), &'static str> {
    text.push('{');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match item {
            Value::List(items) => write_list(items, text)?,
            Value::Null => text.push_str("NULL"),
            item => {
                let mut plain = String::new();
                write_plain(item, &mut plain)?;
                text.push('"');
                for letter in plain.chars() {
                    if matches!(letter, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(letter);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::copy_row;
    use crate::value::Value;

    #[test]
    fn rows_are_lines_with_what_has_a_meaning_escaped() {
        let mut out = Vec::new();
        let row = [
            Value::Int(1),
            Value::Null,
            Value::Text("a\tb\\c\n".into()),
            Value::Bool(true),
            Value::Float(0.5),
            Value::Bytes(vec![0, 255]),
            Value::List(vec![Value::Text("x\"y".into()), Value::Null]),
            Value::Interval { days: 1, micros: 5 },
        ];
        copy_row(&row, &mut out).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(
            line,
            "1\t\\N\ta\\tb\\\\c\\n\tt\t0.5\t\\\\x00ff\t{\"x\\\\\"y\",NULL}\t1 days 5 microseconds\n"
        );
    }
}
