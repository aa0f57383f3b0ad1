//! What a server counts: requests and connections by lane, and where the time of requests goes by route.

mod counters;
pub mod exposition;
mod gain;
mod histogram;
mod merged;
mod phases;
mod process;
mod series;

pub(crate) use counters::Counters;
pub use counters::Stats;
pub use gain::{gains, Spent};
pub use histogram::Observed;
pub use merged::{Merged, Sample};
pub(crate) use phases::nanos;
pub use phases::{Phase, Phases};
pub use process::process;
pub(crate) use process::resident;
pub(crate) use series::{place, Series, SeriesList};
pub use series::{RouteTimes, StatusClass};
