//! Arguments on their way to PostgreSQL.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{to_sql_checked, Format, IsNull, Kind, ToSql, Type};

use crate::numeric;

/// An argument of a statement. Which types of SQL it fits is known once the statement is prepared.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL, of any type.
    Null,
    /// `boolean`.
    Bool(bool),
    /// The integer types, `numeric` and the floating ones.
    Int(i64),
    /// An integer beyond 64 bits, as digits: `numeric`.
    BigInt(String),
    /// `double precision`, `real`, `numeric`.
    Float(f64),
    /// `numeric`, as text.
    Numeric(String),
    /// Text, enums, JSON that is text already, and every type that has nothing of its own here, as PostgreSQL reads it.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `date`: days since 2000-01-01.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timestamp`: microseconds since 2000.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000 in UTC.
    TimestampTz(i64),
    /// `interval`.
    Interval {
        /// Whole days.
        days: i32,
        /// The rest, in microseconds.
        micros: i64,
    },
    /// `json` and `jsonb`: a document.
    Json(Vec<u8>),
    /// An array, and arrays of those; for `json` and `jsonb` a list.
    List(Vec<Value>),
}

/// An argument that does not fit its parameter.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Its number, from 1.
    number: usize,
    type_name: String,
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument ${} ({}): {}", self.number, self.type_name, self.what)
    }
}

impl Error for Mismatch {}

/// A type's name as people write it: `int4[]` for `_int4`.
pub(crate) fn type_name(ty: &Type) -> String {
    match ty.kind() {
        Kind::Array(element) => format!("{}[]", type_name(element)),
        _ => ty.name().to_owned(),
    }
}

/// The type that a domain is of.
pub(crate) fn base(ty: &Type) -> &Type {
    match ty.kind() {
        Kind::Domain(of) => base(of),
        _ => ty,
    }
}

/// An argument and its number, from 1.
#[derive(Debug)]
pub(crate) struct Param<'a>(pub(crate) usize, pub(crate) &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if matches!(self.1, Value::Null) {
            return Ok(IsNull::Yes);
        }
        match encode(self.1, base(ty), out) {
            Ok(()) => Ok(IsNull::No),
            Err(what) => Err(Box::new(Mismatch { number: self.0, type_name: type_name(ty), what })),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> Format {
        if matches!(self.1, Value::Text(_)) && !is_text(base(ty)) {
            Format::Text
        } else {
            Format::Binary
        }
    }

    to_sql_checked!();
}

/// Whether the binary format of a type is its text.
pub(crate) fn is_text(ty: &Type) -> bool {
    matches!(
        *ty,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML | Type::CHAR
    ) || matches!(ty.kind(), Kind::Enum(_))
        || ty.name() == "citext"
}

impl Value {
    /// What it is to whoever passed it.
    fn name(&self) -> &'static str {
        match self {
            Value::Null => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::BigInt(_) => "an int",
            Value::Float(_) => "a float",
            Value::Numeric(_) => "a Decimal",
            Value::Text(_) => "a str",
            Value::Bytes(_) => "bytes",
            Value::Uuid(_) => "a UUID",
            Value::Date(_) => "a date",
            Value::Time(_) => "a time",
            Value::Timestamp(_) => "a datetime without a time zone",
            Value::TimestampTz(_) => "a datetime with a time zone",
            Value::Interval { .. } => "a timedelta",
            Value::Json(_) => "a dict",
            Value::List(_) => "a list",
        }
    }
}

/// What a type takes.
fn wanted(ty: &Type) -> &'static str {
    match *ty {
        Type::BOOL => "a bool",
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => "an int",
        Type::FLOAT4 | Type::FLOAT8 => "a float or an int",
        Type::NUMERIC => "a Decimal, an int or a float",
        Type::BYTEA => "bytes",
        Type::UUID => "a UUID or its text",
        Type::DATE => "a date",
        Type::TIME => "a time without a time zone",
        Type::TIMESTAMP => "a datetime without a time zone",
        Type::TIMESTAMPTZ => "a datetime with a time zone",
        Type::INTERVAL => "a timedelta",
        Type::JSON | Type::JSONB => "a dict, a list, Json(...) or a str that is JSON",
        _ if matches!(ty.kind(), Kind::Array(_)) => "a list",
        _ => "a str",
    }
}

fn encode(value: &Value, ty: &Type, out: &mut BytesMut) -> Result<(), String> {
    let unfit = || Err(format!("it takes {}, not {}", wanted(ty), value.name()));
    match (value, ty) {
        (Value::Bool(flag), &Type::BOOL) => out.put_u8(u8::from(*flag)),
        (Value::Int(number), &Type::INT2) => out.put_i16(narrow(*number, "-32768 to 32767")?),
        (Value::Int(number), &Type::INT4) => out.put_i32(narrow(*number, "-2147483648 to 2147483647")?),
        (Value::Int(number), &Type::INT8) => out.put_i64(*number),
        (Value::Int(number), &Type::OID) => out.put_u32(narrow(*number, "0 to 4294967295")?),
        (Value::Int(number), &Type::FLOAT4) => out.put_f32(*number as f32),
        (Value::Int(number), &Type::FLOAT8) => out.put_f64(*number as f64),
        (Value::Int(number), &Type::NUMERIC) => write_numeric(itoa::Buffer::new().format(*number), out)?,
        (Value::BigInt(digits), &Type::NUMERIC) => write_numeric(digits, out)?,
        (Value::BigInt(digits), &Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::OID) => {
            return Err(format!("{digits} is beyond what it holds; numeric holds it"));
        }
        (Value::Float(number), &Type::FLOAT8) => out.put_f64(*number),
        (Value::Float(number), &Type::FLOAT4) => out.put_f32(*number as f32),
        (Value::Float(number), &Type::NUMERIC) => write_numeric(&number.to_string(), out)?,
        (Value::Numeric(text), &Type::NUMERIC) => write_numeric(text, out)?,
        (Value::Bytes(bytes), &Type::BYTEA) => out.put_slice(bytes),
        (Value::Uuid(bytes), &Type::UUID) => out.put_slice(bytes),
        (Value::Date(days), &Type::DATE) => out.put_i32(*days),
        (Value::Time(micros), &Type::TIME) => out.put_i64(*micros),
        (Value::Timestamp(micros), &Type::TIMESTAMP) | (Value::TimestampTz(micros), &Type::TIMESTAMPTZ) => {
            out.put_i64(*micros);
        }
        (Value::Interval { days, micros }, &Type::INTERVAL) => {
            out.put_i64(*micros);
            out.put_i32(*days);
            out.put_i32(0);
        }
        (Value::Json(document), &Type::JSON) => out.put_slice(document),
        (Value::Json(document), &Type::JSONB) => {
            out.put_u8(1);
            out.put_slice(document);
        }
        (Value::List(items), &Type::JSON | &Type::JSONB) => {
            if *ty == Type::JSONB {
                out.put_u8(1);
            }
            write_json_list(items, out)?;
        }
        (Value::Text(text), _) => match *ty {
            Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::BYTEA
            | Type::DATE
            | Type::TIME
            | Type::TIMESTAMP
            | Type::TIMESTAMPTZ
            | Type::INTERVAL => return unfit(),
            _ if matches!(ty.kind(), Kind::Array(_)) => return unfit(),
            _ if text.contains('\0') => {
                return Err("PostgreSQL's text holds no NUL character; bytea does".into())
            }
            _ => out.put_slice(text.as_bytes()),
        },
        (Value::List(items), _) => match ty.kind() {
            Kind::Array(element) => write_array(items, element, out)?,
            _ => return unfit(),
        },
        _ => return unfit(),
    }
    Ok(())
}

fn narrow<T: TryFrom<i64>>(number: i64, range: &str) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} is out of its range, {range}"))
}

fn write_numeric(text: &str, out: &mut BytesMut) -> Result<(), String> {
    numeric::encode(text, out).ok_or_else(|| format!("{text} is beyond what it holds"))
}

fn write_array(items: &[Value], element: &Type, out: &mut BytesMut) -> Result<(), String> {
    let mut dimensions = Vec::new();
    let mut level = items;
    loop {
        if !level.is_empty() {
            dimensions.push(level.len());
        }
        match level.first() {
            // A list within a list is another dimension, unless each element is a document.
            Some(Value::List(inner)) if !matches!(*element, Type::JSON | Type::JSONB) => {
                if inner.is_empty() {
                    return Err("an array of empty lists has no form in PostgreSQL".into());
                }
                level = inner;
            }
            _ => break,
        }
    }
    if dimensions.len() > 6 {
        return Err("an array has 6 dimensions at most".into());
    }
    out.put_i32(dimensions.len() as i32);
    let flags = out.len();
    out.put_i32(0);
    out.put_u32(element.oid());
    for length in &dimensions {
        out.put_i32(i32::try_from(*length).map_err(|_| "the list is too long".to_owned())?);
        out.put_i32(1);
    }
    let mut has_null = false;
    write_elements(items, &dimensions, element, out, &mut has_null)?;
    if has_null {
        out[flags + 3] = 1;
    }
    Ok(())
}

fn write_elements(
    items: &[Value],
    dimensions: &[usize],
    element: &Type,
    out: &mut BytesMut,
    has_null: &mut bool,
) -> Result<(), String> {
    let [length, inner @ ..] = dimensions else { return Ok(()) };
    if items.len() != *length {
        return Err(format!("lists of one dimension have one length; here are {length} and {}", items.len()));
    }
    for item in items {
        match item {
            Value::List(items) if !inner.is_empty() => write_elements(items, inner, element, out, has_null)?,
            _ if !inner.is_empty() => {
                return Err(format!(
                    "its lists are not all of one depth: here is {} among lists",
                    item.name()
                ))
            }
            Value::Null => {
                *has_null = true;
                out.put_i32(-1);
            }
            _ => {
                let at = out.len();
                out.put_i32(0);
                let element = base(element);
                if matches!(item, Value::Text(_)) && !is_text(element) {
                    write_text_element(item, element, out)?;
                } else {
                    encode(item, element, out).map_err(|what| format!("an element of it: {what}"))?;
                }
                let written = i32::try_from(out.len() - at - 4).map_err(|_| "it is too large".to_owned())?;
                out[at..at + 4].copy_from_slice(&written.to_be_bytes());
            }
        }
    }
    Ok(())
}

/// Text among the elements of an array, all of which are in the binary format.
fn write_text_element(item: &Value, element: &Type, out: &mut BytesMut) -> Result<(), String> {
    let Value::Text(text) = item else { return Ok(()) };
    match *element {
        Type::JSON => out.put_slice(text.as_bytes()),
        Type::JSONB => {
            out.put_u8(1);
            out.put_slice(text.as_bytes());
        }
        Type::UUID => out.put_slice(&uuid(text).ok_or("an element of it is no UUID")?),
        _ => {
            return Err(format!(
                "an element of it: it takes {}, not a str; cast the array in the statement: $n::text[]::{}[]",
                wanted(element),
                element.name()
            ))
        }
    }
    Ok(())
}

/// The bytes of a UUID, written with hyphens or without.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b'-')
        .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

/// A list as JSON, for what JSON has.
fn write_json_list(items: &[Value], out: &mut BytesMut) -> Result<(), String> {
    out.put_u8(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        match item {
            Value::Null => out.put_slice(b"null"),
            Value::Bool(flag) => out.put_slice(if *flag { b"true" } else { b"false" }),
            Value::Int(number) => out.put_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Value::BigInt(digits) => out.put_slice(digits.as_bytes()),
            Value::Float(number) if number.is_finite() => {
                let mut text = Vec::new();
                crate::json::write_float(*number, &mut text);
                out.put_slice(&text);
            }
            Value::Text(text) => {
                out.put_slice(&sonic_rs::to_vec(text).map_err(|error| error.to_string())?);
            }
            Value::Json(document) => out.put_slice(document),
            Value::List(items) => write_json_list(items, out)?,
            _ => return Err(format!("{} within the list is nothing that JSON has", item.name())),
        }
    }
    out.put_u8(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_postgres::types::{IsNull, ToSql, Type};

    use super::{Param, Value};

    fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, String> {
        let mut out = BytesMut::new();
        match Param(2, value).to_sql(ty, &mut out) {
            Ok(IsNull::No) => Ok(out.to_vec()),
            Ok(IsNull::Yes) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn an_argument_that_does_not_fit_is_named() {
        let text = Value::Text("7".into());
        assert_eq!(encode(&text, &Type::INT4).unwrap_err(), "argument $2 (int4): it takes an int, not a str");
        assert_eq!(
            encode(&Value::Int(40_000), &Type::INT2).unwrap_err(),
            "argument $2 (int2): 40000 is out of its range, -32768 to 32767"
        );
        assert_eq!(
            encode(&Value::List(vec![Value::Int(1), Value::Bool(true)]), &Type::INT4_ARRAY).unwrap_err(),
            "argument $2 (int4[]): an element of it: it takes an int, not a bool"
        );
        assert_eq!(
            encode(&Value::Int(1), &Type::TEXT).unwrap_err(),
            "argument $2 (text): it takes a str, not an int"
        );
        assert_eq!(
            encode(&Value::Timestamp(0), &Type::TIMESTAMPTZ).unwrap_err(),
            "argument $2 (timestamptz): it takes a datetime with a time zone, not a datetime without a time zone"
        );
        assert!(encode(&Value::Text("a\0".into()), &Type::TEXT).unwrap_err().contains("NUL"));
    }

    #[test]
    fn arrays_have_their_dimensions() {
        let row = |items: &[i64]| Value::List(items.iter().map(|item| Value::Int(*item)).collect());
        let matrix = Value::List(vec![row(&[1, 2]), row(&[3, 4])]);
        let bytes = encode(&matrix, &Type::INT2_ARRAY).unwrap();
        assert_eq!(bytes[..4], [0, 0, 0, 2]);
        assert_eq!(bytes.len(), 12 + 16 + 4 * 6);
        let ragged = Value::List(vec![row(&[1, 2]), row(&[3])]);
        assert!(encode(&ragged, &Type::INT2_ARRAY).unwrap_err().contains("one length"));
        let mixed = Value::List(vec![row(&[1]), Value::Int(1)]);
        assert!(encode(&mixed, &Type::INT2_ARRAY).unwrap_err().contains("not all of one depth"));
        let empty = encode(&Value::List(Vec::new()), &Type::INT2_ARRAY).unwrap();
        assert_eq!(empty[..4], [0, 0, 0, 0]);
        let nulls = encode(&Value::List(vec![Value::Null]), &Type::INT2_ARRAY).unwrap();
        assert_eq!((nulls[7], &nulls[20..]), (1, &[255, 255, 255, 255][..]));
    }

    #[test]
    fn lists_for_json_are_json() {
        let list =
            Value::List(vec![Value::Int(1), Value::Float(0.5), Value::Text("a\"".into()), Value::Null]);
        assert_eq!(encode(&list, &Type::JSON).unwrap(), br#"[1,0.5,"a\"",null]"#);
        assert_eq!(encode(&list, &Type::JSONB).unwrap()[0], 1);
        assert!(encode(&Value::List(vec![Value::Date(1)]), &Type::JSON).unwrap_err().contains("a date"));
    }
}
