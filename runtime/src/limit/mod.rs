//! Rate limits: how many requests of one client a route, or a whole application, answers in a time.
//!
//! [`Limits`] makes a [`Handler`](crate::Handler) that asks before another one is called. Who is asked is a [`Store`]; what is counted by is
//! a [`Key`]. The algorithm is GCRA: one number for each client says when its quota will be whole again.
//!
//! | module | its one job |
//! |---|---|
//! | [`rate`](Rate) | the algorithm, and how often is too often |
//! | [`table`](Table) | the clients' numbers in memory of a fixed size, which processes can share |
//! | [`remote`](RedisStore) | the same numbers in a Redis, for several machines |
//! | [`key`](Key) | who a request counts for |
//! | [`handler`](Limits) | asks the store, refuses, labels the response |
//! | `fields` | the header fields that tell a client how it stands |
//! | [`clock`](Clock) | the time that processes of one machine agree on |

mod clock;
mod fields;
mod handler;
mod key;
mod rate;
mod remote;
mod table;

pub use clock::Clock;
pub use fields::Fields;
pub use handler::{Limit, Limits, Refused, Store};
pub use key::{Compute, Computed, Key};
pub use rate::{Rate, Standing};
pub use remote::{OnError, RedisOptions, RedisStore};
pub use table::{Set, Table, SHARED_SETS, SHARED_SIZE};
