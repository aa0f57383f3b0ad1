//! The result of a statement.

use std::error::Error as StdError;
use std::sync::Arc;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::Row;

use crate::cell::{Cell, Kind};
use crate::error::{Error, ErrorKind};

/// A column of a result.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How its values are read.
    pub kind: Kind,
}

/// The columns of a statement's results.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) all: Vec<Column>,
    /// The columns of a row that is a mapping: each name once, where it is first, with the value that is last.
    pub(crate) named: Vec<usize>,
    /// For each of those, its name as a key of JSON.
    pub(crate) keys: Vec<Vec<u8>>,
}

impl Columns {
    pub(crate) fn of(columns: &[tokio_postgres::Column]) -> Columns {
        let all: Vec<Column> = columns
            .iter()
            .map(|column| Column { name: column.name().to_owned(), kind: Kind::of(column.type_()) })
            .collect();
        let mut named: Vec<usize> = Vec::with_capacity(all.len());
        for (index, column) in all.iter().enumerate() {
            match named.iter_mut().find(|known| all[**known].name == column.name) {
                Some(known) => *known = index,
                None => named.push(index),
            }
        }
        let keys = named.iter().map(|index| crate::json::key(&all[*index].name)).collect();
        Columns { all, named, keys }
    }
}

/// The rows a statement has given, as they came from the server.
#[derive(Debug)]
pub struct Rows {
    pub(crate) columns: Arc<Columns>,
    pub(crate) rows: Vec<Row>,
    /// How many rows it gave or changed, as the server says.
    pub(crate) affected: u64,
}

/// The bytes of a value.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows the statement gave or changed.
    pub fn affected(&self) -> u64 {
        self.affected
    }

    /// The columns, as the statement has them.
    pub fn columns(&self) -> &[Column] {
        &self.columns.all
    }

    /// The columns of a row that is a mapping, by their numbers.
    pub fn named(&self) -> &[usize] {
        &self.columns.named
    }

    /// A value. Panics where there is no such row or column.
    pub fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>, Error> {
        let raw: Option<Raw<'_>> =
            self.rows[row].try_get(column).map_err(|error| Error::from_postgres(&error))?;
        match raw {
            None => Ok(Cell::Null),
            Some(Raw(bytes)) => {
                let Column { name, kind } = &self.columns.all[column];
                kind.read(bytes).ok_or_else(|| unreadable(name, kind))
            }
        }
    }

    /// All rows as JSON, a list of objects, as FastAPI would write them.
    pub fn to_json(&self) -> Result<bytes::Bytes, Error> {
        crate::json::rows(self)
    }
}

#[cold]
fn unreadable(name: &str, kind: &Kind) -> Error {
    let what = match kind {
        Kind::Unknown(type_name) => {
            format!("column {name:?} is of type {type_name}, which is not read here; select {name}::text")
        }
        _ => format!("column {name:?}: the server has sent what is no value of its type"),
    };
    Error::new(ErrorKind::Value, what)
}
