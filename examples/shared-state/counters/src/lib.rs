//! The native routes of the shared-state example: `counters.read`, `counters.add`, `counters.list`.
//!
//! The state is made once, before the first request, and every handler gets a clone of it: here a reference to one map,
//! which all I/O workers share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bimetal::prelude::*;

/// What the application may set where it loads the plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How many counters there may be.
    #[serde(default = "Config::max_counters")]
    max_counters: usize,
}

impl Config {
    fn max_counters() -> usize {
        1000
    }
}

/// What all requests share.
#[derive(Clone)]
struct Counters {
    max_counters: usize,
    // A counter is added to under the lock for readers; the one for writers is taken once a counter, to make it.
    by_name: Arc<RwLock<BTreeMap<String, AtomicI64>>>,
}

impl Counters {
    fn from_config(config: Config) -> Result<Counters, String> {
        if config.max_counters == 0 {
            return Err("max_counters is 0, and must be at least 1".to_owned());
        }
        Ok(Counters { max_counters: config.max_counters, by_name: Arc::default() })
    }

    fn read(&self, name: &str) -> Option<i64> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).map(|counter| counter.load(Ordering::Relaxed))
    }

    /// The new value; None when there may not be another counter.
    fn add(&self, name: &str, amount: i64) -> Option<i64> {
        let add = |counter: &AtomicI64| counter.fetch_add(amount, Ordering::Relaxed).wrapping_add(amount);
        if let Some(counter) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(add(counter));
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have made it between the two locks.
        if !by_name.contains_key(name) && by_name.len() == self.max_counters {
            return None;
        }
        Some(add(by_name.entry(name.to_owned()).or_default()))
    }
}

bimetal::plugin! { name: "counters", init: Counters::from_config }

#[derive(Serialize, JsonSchema)]
struct Counter {
    name: String,
    value: i64,
}

/// The value of a counter.
#[native_handler]
fn read(State(counters): State<Counters>, Path(name): Path<String>) -> Result<Json<Counter>, HttpError> {
    match counters.read(&name) {
        Some(value) => Ok(Json(Counter { name, value })),
        None => Err(HttpError::not_found("There is no such counter")),
    }
}

#[derive(Deserialize, JsonSchema)]
struct Amount {
    #[serde(default = "Amount::by")]
    by: i64,
}

impl Amount {
    fn by() -> i64 {
        1
    }
}

/// Adds to a counter, which is made where there is none.
#[native_handler]
fn add(
    State(counters): State<Counters>,
    Path(name): Path<String>,
    Query(amount): Query<Amount>,
) -> Result<Json<Counter>, HttpError> {
    match counters.add(&name, amount.by) {
        Some(value) => Ok(Json(Counter { name, value })),
        None => Err(HttpError::conflict(format!("There are {} counters already", counters.max_counters))),
    }
}

/// All counters, by name.
#[native_handler]
fn list(State(counters): State<Counters>) -> Json<Vec<Counter>> {
    let by_name = counters.by_name.read().unwrap_or_else(PoisonError::into_inner);
    let counters = by_name
        .iter()
        .map(|(name, value)| Counter { name: name.clone(), value: value.load(Ordering::Relaxed) })
        .collect();
    Json(counters)
}

#[cfg(test)]
mod tests {
    use super::{Config, Counters};

    #[test]
    fn there_are_no_more_counters_than_allowed() {
        let counters = Counters::from_config(Config { max_counters: 1 }).unwrap();
        assert_eq!(counters.add("a", 2), Some(2));
        assert_eq!(counters.add("b", 1), None);
        assert_eq!(counters.add("a", -3), Some(-1));
        assert_eq!(counters.read("a"), Some(-1));
        assert_eq!(counters.read("b"), None);
    }
}
