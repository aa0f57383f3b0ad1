//! Values of a row, read from PostgreSQL's binary format.

use std::str;
use std::sync::Arc;

use tokio_postgres::types::{Kind as TypeKind, Type};

use crate::numeric;
use crate::value::{base, is_text, type_name};

/// How the values of a column are read.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum Kind {
    Void,
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    Inet,
    /// An array of the other.
    Array(Arc<Kind>),
    /// A type that nothing here reads, by its name.
    Unknown(Arc<str>),
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL, or of type `void`.
    Null,
    /// `boolean`.
    Bool(bool),
    /// An integer of any size.
    Int(i64),
    /// A floating number of any size.
    Float(f64),
    /// `numeric`, as text.
    Numeric(String),
    /// Text.
    Text(&'a str),
    /// Text that had to be made.
    Made(String),
    /// `bytea`.
    Bytes(&'a [u8]),
    /// `uuid`.
    Uuid([u8; 16]),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 2000.
    Timestamp(i64),
    /// Microseconds since 2000 in UTC.
    TimestampTz(i64),
    /// Months, days and microseconds.
    Interval {
        /// Whole months.
        months: i32,
        /// Whole days.
        days: i32,
        /// The rest.
        micros: i64,
    },
    /// A document.
    Json(&'a [u8]),
    /// An array.
    Array(Array<'a>),
}

/// An array: its elements lie one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a> {
    /// The length of each dimension; empty for an empty array.
    pub dimensions: Vec<usize>,
    element: &'a Kind,
    bytes: &'a [u8],
}

impl Kind {
    /// Of a type of SQL.
    pub(crate) fn of(ty: &Type) -> Kind {
        let ty = base(ty);
        match *ty {
            Type::VOID => Kind::Void,
            Type::BOOL => Kind::Bool,
            Type::INT2 => Kind::Int2,
            Type::INT4 => Kind::Int4,
            Type::INT8 => Kind::Int8,
            Type::OID => Kind::Oid,
            Type::FLOAT4 => Kind::Float4,
            Type::FLOAT8 => Kind::Float8,
            Type::NUMERIC => Kind::Numeric,
            Type::BYTEA => Kind::Bytes,
            Type::UUID => Kind::Uuid,
            Type::DATE => Kind::Date,
            Type::TIME => Kind::Time,
            Type::TIMESTAMP => Kind::Timestamp,
            Type::TIMESTAMPTZ => Kind::TimestampTz,
            Type::INTERVAL => Kind::Interval,
            Type::JSON => Kind::Json,
            Type::JSONB => Kind::Jsonb,
            Type::INET | Type::CIDR => Kind::Inet,
            _ if is_text(ty) => Kind::Text,
            _ => match ty.kind() {
                TypeKind::Array(element) => match Kind::of(element) {
                    Kind::Unknown(_) => Kind::Unknown(type_name(ty).into()),
                    element => Kind::Array(Arc::new(element)),
                },
                _ => Kind::Unknown(type_name(ty).into()),
            },
        }
    }

    /// Reads a value that is not NULL; `None` where the bytes are none of this kind.
    pub fn read<'a>(&'a self, bytes: &'a [u8]) -> Option<Cell<'a>> {
        Some(match self {
            Kind::Void => Cell::Null,
            Kind::Bool => Cell::Bool(*bytes.first()? != 0),
            Kind::Int2 => Cell::Int(i16::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::Int4 => Cell::Int(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::Int8 => Cell::Int(i64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Oid => Cell::Int(u32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::Float4 => Cell::Float(f32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::Float8 => Cell::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Numeric => Cell::Numeric(numeric::decode(bytes)?),
            Kind::Text => Cell::Text(str::from_utf8(bytes).ok()?),
            Kind::Bytes => Cell::Bytes(bytes),
            Kind::Uuid => Cell::Uuid(bytes.try_into().ok()?),
            Kind::Date => Cell::Date(i32::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Time => Cell::Time(i64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Timestamp => Cell::Timestamp(i64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::TimestampTz => Cell::TimestampTz(i64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Interval => {
                let (micros, rest) = bytes.split_first_chunk::<8>()?;
                let (days, rest) = rest.split_first_chunk::<4>()?;
                Cell::Interval {
                    micros: i64::from_be_bytes(*micros),
                    days: i32::from_be_bytes(*days),
                    months: i32::from_be_bytes(rest.try_into().ok()?),
                }
            }
            Kind::Json => Cell::Json(bytes),
            Kind::Jsonb => Cell::Json(bytes.strip_prefix(&[1])?),
            Kind::Inet => Cell::Made(address(bytes)?),
            Kind::Array(element) => Cell::Array(Array::read(element, bytes)?),
            Kind::Unknown(_) => return None,
        })
    }
}

impl<'a> Array<'a> {
    fn read(element: &'a Kind, bytes: &'a [u8]) -> Option<Array<'a>> {
        let (header, mut bytes) = bytes.split_first_chunk::<12>()?;
        let count = i32::from_be_bytes(header[..4].try_into().ok()?);
        if !(0..=6).contains(&count) {
            return None;
        }
        let mut dimensions = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (dimension, rest) = bytes.split_first_chunk::<8>()?;
            dimensions.push(usize::try_from(i32::from_be_bytes(dimension[..4].try_into().ok()?)).ok()?);
            bytes = rest;
        }
        Some(Array { dimensions, element, bytes })
    }

    /// The next element of all of them, the last dimension first; `None` where the bytes are none of its kind, or end.
    pub fn take(&mut self) -> Option<Cell<'a>> {
        let (length, rest) = self.bytes.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            self.bytes = rest;
            return Some(Cell::Null);
        }
        let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        self.element.read(bytes)
    }
}

/// An address or a network, as PostgreSQL writes it.
fn address(bytes: &[u8]) -> Option<String> {
    let ([_family, bits, is_network, length], address) = bytes.split_first_chunk::<4>()?;
    let (text, all) = match length {
        4 => (std::net::Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(), 32),
        16 => (std::net::Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
        _ => return None,
    };
    Some(if *bits == all && *is_network == 0 { text } else { format!("{text}/{bits}") })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Cell, Kind};

    #[test]
    fn bytes_of_another_length_are_no_value() {
        for kind in
            [Kind::Int2, Kind::Int4, Kind::Int8, Kind::Float8, Kind::Uuid, Kind::Interval, Kind::Numeric]
        {
            assert_eq!(kind.read(&[1, 2, 3]), None, "{kind:?}");
        }
        assert_eq!(Kind::Text.read(&[0xff]), None);
        assert_eq!(Kind::Array(Arc::new(Kind::Int4)).read(&[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 23]), None);
    }

    #[test]
    fn an_array_ends_where_its_bytes_end() {
        let kind = Kind::Array(Arc::new(Kind::Int2));
        let bytes = [
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 255, 255, 255, 255,
        ];
        let Some(Cell::Array(mut array)) = kind.read(&bytes) else { panic!("no array") };
        assert_eq!(array.dimensions, [3]);
        assert_eq!((array.take(), array.take(), array.take()), (Some(Cell::Int(7)), Some(Cell::Null), None));
    }

    #[test]
    fn addresses_are_written_with_their_network() {
        assert_eq!(Kind::Inet.read(&[2, 32, 0, 4, 10, 0, 0, 1]), Some(Cell::Made("10.0.0.1".into())));
        assert_eq!(Kind::Inet.read(&[2, 8, 1, 4, 10, 0, 0, 0]), Some(Cell::Made("10.0.0.0/8".into())));
    }
}
