//! PostgreSQL for Python: the pool of `bimetal-pg`, its values as Python objects, its waits as blocking calls and awaitables.
//!
//! | module | its one job |
//! |---|---|
//! | `pool` | `PgPool`: settings, start and end, and what a pool has in common with a transaction |
//! | `query`, `result` | a statement to be awaited; the rows it gave |
//! | `transaction` | `with` and `async with` |
//! | `copy` | `COPY` both ways |
//! | `arguments`, `objects` | Python objects to values of PostgreSQL, and back |
//! | `loops` | the event loops that await, a mailbox for each |

mod arguments;
mod copy;
mod loops;
mod objects;
mod pool;
mod query;
mod result;
mod transaction;

use pyo3::prelude::*;

pub(crate) use copy::{PgCopyIn, PgCopyOut};
pub(crate) use pool::PgPool;
pub(crate) use query::PgQuery;
pub(crate) use result::PgResult;
pub(crate) use transaction::PgTransaction;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PgCopyIn>()?;
    module.add_class::<PgCopyOut>()?;
    module.add_class::<PgPool>()?;
    module.add_class::<PgQuery>()?;
    module.add_class::<PgResult>()?;
    module.add_class::<PgTransaction>()?;
    module.add_function(wrap_pyfunction!(pool::pg_forked, module)?)
}
