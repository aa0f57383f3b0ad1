//! All that is kept of the routes of one server.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use super::flight::{Flights, Key};
use super::kept::Kept;
use super::stamps::{Mark, Stamps, Target};
use crate::metrics::exposition::{escape, head, sample, single};
use crate::metrics::nanos;

/// Each part of the store has a lock of its own, and holds so many bytes at least, as an answer has to fit into one.
const SMALLEST_PART: u64 = 8 << 20;

/// As many parts at most.
const MAX_PARTS: u64 = 16;

/// What an answer takes, about: for the size of the tables.
const USUAL: u64 = 4096;

/// Answers of the routes of one server, bounded in bytes. Workers share it; they wait for each other for as long as it takes to
/// find an entry, never for a handler.
pub struct Store {
    entries: Cache<Key, Arc<Kept>, Weight, DefaultHashBuilder, Counting>,
    pub(super) flights: Flights<Arc<Kept>>,
    pub(super) stamps: Stamps,
    began: Instant,
    evicted: Arc<AtomicU64>,
    last_route: AtomicU64,
    routes: Mutex<Vec<Arc<RouteCounts>>>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Kept>> for Weight {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        kept.weight(key)
    }
}

/// Counts what is evicted, and has it freed outside of the lock.
#[derive(Clone)]
struct Counting(Arc<AtomicU64>);

impl Lifecycle<Key, Arc<Kept>> for Counting {
    type RequestState = SmallVec<[(Key, Arc<Kept>); 2]>;

    fn on_evict(&self, state: &mut Self::RequestState, key: Key, kept: Arc<Kept>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        state.push((key, kept));
    }
}

impl Store {
    /// A store of `capacity` bytes, with what entries take besides their bodies.
    pub fn new(capacity: u64) -> Arc<Store> {
        let parts = (capacity / SMALLEST_PART).clamp(1, MAX_PARTS);
        // Down to a power of two, as the library goes up.
        let parts = 1 << parts.ilog2();
        let items = (capacity / USUAL).max(64 * parts);
        let options = OptionsBuilder::new()
            .shards(parts as usize)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(capacity)
            .build();
        let evicted = Arc::<AtomicU64>::default();
        let options = match options {
            Ok(options) => options,
            // Both capacities are set.
            Err(_) => unreachable!("the options of the store are complete"),
        };
        let counting = Counting(Arc::clone(&evicted));
        Arc::new(Store {
            entries: Cache::with_options(options, Weight, DefaultHashBuilder::default(), counting),
            flights: Flights::new(),
            stamps: Stamps::new(),
            began: Instant::now(),
            evicted,
            last_route: AtomicU64::new(0),
            routes: Mutex::default(),
        })
    }

    /// Makes answers invalid, those in the making as well. The memory of all is freed at once, that of some when they are asked
    /// for, or have to go for others.
    pub fn invalidate(&self, target: Target<'_>) {
        self.stamps.invalidate(Mark::of(target));
        if target == Target::All {
            self.entries.clear();
        }
    }

    /// Frees the memory of a handler's answers, which nobody will ask for again. `route` is [`CachedHandler::number`].
    ///
    /// [`CachedHandler::number`]: super::CachedHandler::number
    pub fn forget(&self, route: u64) {
        let prefix = route.to_be_bytes();
        self.entries.retain(|key, _| !key.starts_with(&prefix));
    }

    /// What has been counted so far.
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
            capacity: self.entries.capacity(),
            evicted: self.evicted.load(Ordering::Relaxed),
            routes: self.routes.lock().clone(),
        }
    }

    /// The largest body that it keeps.
    pub(super) fn largest(&self) -> usize {
        usize::try_from(self.entries.shard_capacity() / 10 * 9).unwrap_or(usize::MAX)
    }

    /// Nanoseconds since it was made.
    pub(super) fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// What is kept under a key, and has not been made invalid.
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Kept>> {
        let kept = self.entries.get(key)?;
        if self.stamps.is_valid(kept.stamp, &kept.marks) {
            return Some(kept);
        }
        let is_that = |found: &Arc<Kept>| Arc::ptr_eq(found, &kept);
        drop(self.entries.remove_if(key, is_that));
        None
    }

    /// Keeps it, in place of what is kept under its key.
    pub(super) fn put(&self, key: Key, kept: Arc<Kept>) {
        if self.stamps.is_valid(kept.stamp, &kept.marks) {
            self.entries.insert(key, kept);
        }
    }

    /// The number of another handler.
    pub(super) fn next_route(&self) -> u64 {
        self.last_route.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What is counted of the route with this pattern, from its last handler on.
    pub(super) fn counts(&self, pattern: &str) -> Arc<RouteCounts> {
        let mut routes = self.routes.lock();
        if let Some(known) = routes.iter().find(|counts| counts.pattern == pattern) {
            return Arc::clone(known);
        }
        let counts = Arc::new(RouteCounts { pattern: pattern.to_owned(), ..RouteCounts::default() });
        routes.push(Arc::clone(&counts));
        counts
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a store counts of one route.
        #[derive(Debug, Default)]
        pub struct RouteCounts {
            /// The route's pattern.
            pub pattern: String,
            $($(#[$doc])* pub(super) $name: AtomicU64,)*
        }

        impl RouteCounts {
            /// Each name, and how often that was.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

counts! {
    /// Requests answered by what was kept, and fresh.
    hit,
    /// By what was kept, and no longer fresh.
    stale,
    /// By what another one's call of the handler has brought.
    collapsed,
    /// Requests that called the handler because nothing was kept.
    miss,
    /// Requests that have nothing to do with the cache.
    bypass,
    /// Answers that were kept.
    stored,
    /// Answers that may not be given to others.
    unfit,
    /// Calls of the handler that failed.
    failed,
    /// Renewals in the background.
    renewal,
}

/// How many of the counts of [`RouteCounts`] say what became of a request.
const RESULTS: usize = 5;

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a [`Store`] has counted.
#[derive(Clone, Debug)]
pub struct StoreStats {
    /// Answers that are kept, with those that are over and not replaced yet.
    pub entries: u64,
    /// The bytes they take.
    pub bytes: u64,
    /// The bytes they may take.
    pub capacity: u64,
    /// Answers that had to go for others.
    pub evicted: u64,
    /// By route, in the order in which they came.
    pub routes: Vec<Arc<RouteCounts>>,
}

impl StoreStats {
    /// Adds them in Prometheus' text format; nothing where no route has a cache.
    pub fn expose(&self, text: &mut String) {
        if self.routes.is_empty() {
            return;
        }
        let each = |text: &mut String, name: &str, skip: usize, take: usize| {
            for route in &self.routes {
                let pattern = escape(&route.pattern, true);
                for (result, count) in route.all().skip(skip).take(take) {
                    sample(
                        text,
                        name,
                        &format!("route=\"{pattern}\",result=\"{result}\""),
                        &count.to_string(),
                    );
                }
            }
        };
        let name = "bimetal_cache_requests_total";
        head(text, name, "counter", "Requests to cached routes, by what the cache did.");
        each(text, name, 0, RESULTS);
        let name = "bimetal_cache_answers_total";
        head(
            text,
            name,
            "counter",
            "Answers of cached routes' handlers, by what became of them, and renewals.",
        );
        each(text, name, RESULTS, usize::MAX);
        let gauges = [
            ("bimetal_cache_entries", "gauge", "Answers that are kept.", self.entries),
            ("bimetal_cache_bytes", "gauge", "Bytes that they take.", self.bytes),
            ("bimetal_cache_max_bytes", "gauge", "Bytes that they may take.", self.capacity),
            ("bimetal_cache_evicted_total", "counter", "Answers that had to go for others.", self.evicted),
        ];
        for (name, kind, help, value) in gauges {
            single(text, name, kind, help, value as f64);
        }
    }
}
