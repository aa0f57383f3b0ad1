//! What a server counts: requests and connections by lane, and where the time of requests goes by route.

mod counters;
mod histogram;
mod phases;
mod series;

pub(crate) use counters::Counters;
pub use counters::Stats;
pub use histogram::Observed;
pub(crate) use phases::nanos;
pub use phases::{Phase, Phases};
pub(crate) use series::{place, Series, SeriesList};
pub use series::{RouteTimes, StatusClass};
