//! PostgreSQL for Bimetal: a pool of connections on a thread of its own, values both ways, rows as JSON bytes.
//!
//! It knows neither Python nor the server. Work is handed to the pool's thread as futures; whoever waits for a result may
//! block ([`Reply::wait_for`]) or poll ([`Reply`] is a future), and gives the work up by dropping its end.
//!
//! ```no_run
//! use bimetal_pg::{Pool, PoolConfig, Value};
//!
//! let config = PoolConfig { dsn: "postgresql://app@localhost/shop".into(), ..PoolConfig::default() };
//! let pool = Pool::start(config)?;
//! let rows = pool.query("SELECT $1::int + 1 AS n".into(), vec![Value::Int(41)], |rows| rows.to_json())?;
//! assert_eq!(&rows.wait()?[..], br#"[{"n":42}]"#);
//! # Ok::<(), bimetal_pg::Error>(())
//! ```
//!
//! | module | its one job |
//! |---|---|
//! | `config`, `tls` | what a pool is made from; how connections are encrypted |
//! | `connection` | one connection, its prepared statements, and making it |
//! | `pool` | the thread, checking out, deadlines, the end |
//! | `query` | one statement on one connection, and giving it up |
//! | `transaction`, `copy` | connections held for longer |
//! | `value`, `numeric`, `moment` | arguments to PostgreSQL's binary format |
//! | `copy_text` | rows for `COPY`, in its text format |
//! | `cell`, `rows`, `json` | its rows, read and written as JSON |
//! | `error` | the one error |

#![forbid(unsafe_code)]

mod cell;
mod config;
mod connection;
mod copy;
mod copy_text;
mod error;
mod json;
mod moment;
mod numeric;
mod pool;
mod query;
mod rows;
mod tls;
mod transaction;
mod value;

pub use cell::{Array, Cell, Kind};
pub use config::PoolConfig;
pub use copy::{CopyIn, CopyOut};
pub use copy_text::copy_row;
pub use error::{DatabaseError, Error, ErrorKind};
pub use moment::{civil, days, Moment, DAY};
pub use pool::{wait_for, Figures, Pool, Reply};
pub use rows::{Column, Rows};
pub use transaction::{Begin, Transaction};
pub use value::Value;

/// The days of an interval, as Python's drivers count them: a year has 365, a month 30.
pub fn interval_days(months: i32, days: i32) -> i32 {
    json::in_days(months, days)
}
