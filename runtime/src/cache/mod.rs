//! The response cache: answers of routes that ask for it, given again on the I/O worker.
//!
//! [`CachedHandler`] is put around the handler of such a route, whatever its lane; other routes know nothing of it. What is
//! kept of all routes of a server is in one [`Store`]: bounded in bytes, read by every worker.
//!
//! - `key` says which requests get the same answer, `kept` which answers may be given again, and for how long.
//! - `flight` has one request of many call the handler; the others wait for it, and one of them takes over where it fails.
//! - `stamps` makes answers invalid, those as well that are still in the making.

mod conditions;
mod directives;
mod flight;
mod handler;
mod kept;
mod key;
mod policy;
mod stamps;
mod store;

pub use handler::CachedHandler;
pub use policy::{Policy, TagPart};
pub use stamps::Target;
pub use store::{RouteCounts, Store, StoreStats};
