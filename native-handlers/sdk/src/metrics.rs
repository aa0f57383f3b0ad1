//! Metrics of a plugin: counters, gauges and histograms, kept by the server and listed with its own by the built-in handler
//! `metrics`, in the format of Prometheus.
//!
//! A metric is registered once, in the plugin's `init` as a rule, and kept in its state; using it is one atomic operation and
//! takes no lock. The name is shown as it is given, so begin it with the plugin's: `hot_cache_hits_total`. It may have letters,
//! digits, `_` and `:`, and must not begin with `bimetal_`. Registered again with the same labels it is the same metric, which
//! is how a reloaded plugin goes on counting; with another type, other label names or other buckets it is an error. A process
//! has 2000 series at most, a metric 8 labels: what has a value for each user or address is not a label.
//!
//! ```
//! use bimetal::metrics::{self, Counter, Histogram, MetricError};
//! use bimetal::prelude::*;
//!
//! #[derive(Clone)]
//! struct Shop {
//!     sold: Counter,
//!     amounts: Histogram,
//! }
//!
//! impl Shop {
//!     fn open(_config: Option<()>) -> Result<Shop, MetricError> {
//!         Ok(Shop {
//!             sold: metrics::counter("shop_sold_total", "Orders taken.", &[("kind", "online")])?,
//!             amounts: metrics::histogram("shop_amounts", "Value of the orders.", &[], &[10.0, 100.0, 1000.0])?,
//!         })
//!     }
//! }
//!
//! #[native_handler]
//! fn order(State(shop): State<Shop>, Query(amount): Query<f64>) -> &'static str {
//!     shop.sold.inc();
//!     shop.amounts.observe(amount);
//!     "taken"
//! }
//!
//! bimetal::plugin! { name: "shop", init: Shop::open }
//! # fn main() {}
//! ```

use std::ffi::c_void;
use std::fmt;
use std::ptr;

use bimetal_abi::{BmHeader, BmMetric, BmSlice, METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, RESULT_OK};

use crate::{host, RequestParts};

/// The server's own record of a metric.
#[derive(Clone, Copy, Debug)]
struct Handle(*const c_void);

// SAFETY: the host's metrics may be used from any thread, and stay until the process ends.
unsafe impl Send for Handle {}
// SAFETY: as for `Send`.
unsafe impl Sync for Handle {}

/// A number that only grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter(Handle);

/// A number that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Handle);

/// Values, counted by size.
#[derive(Clone, Copy, Debug)]
pub struct Histogram(Handle);

/// Why a metric cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricError {
    name: String,
    reason: String,
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the metric `{}` cannot be registered: {}", self.name, self.reason)
    }
}

impl std::error::Error for MetricError {}

/// Registers a counter, or finds the one of this name and these labels.
///
/// ```no_run
/// let hits = bimetal::metrics::counter("hot_cache_hits_total", "Answers from the cache.", &[])?;
/// hits.inc();
/// # Ok::<(), bimetal::metrics::MetricError>(())
/// ```
pub fn counter(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Counter, MetricError> {
    register(METRIC_COUNTER, name, help, labels, &[]).map(Counter)
}

/// Registers a gauge, or finds the one of this name and these labels.
///
/// ```no_run
/// let open = bimetal::metrics::gauge("hot_sessions", "Sessions that are open.", &[("kind", "guest")])?;
/// open.add(1.0);
/// # Ok::<(), bimetal::metrics::MetricError>(())
/// ```
pub fn gauge(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Gauge, MetricError> {
    register(METRIC_GAUGE, name, help, labels, &[]).map(Gauge)
}

/// Registers a histogram, or finds the one of this name and these labels. `bounds` are the upper bounds of its buckets, rising,
/// 64 at most; the one for all that is larger is added.
///
/// ```no_run
/// let sizes = bimetal::metrics::histogram("hot_items", "Items of an order.", &[], &[1.0, 10.0, 100.0])?;
/// sizes.observe(7.0);
/// # Ok::<(), bimetal::metrics::MetricError>(())
/// ```
pub fn histogram(
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    bounds: &[f64],
) -> Result<Histogram, MetricError> {
    register(METRIC_HISTOGRAM, name, help, labels, bounds).map(Histogram)
}

/// Every metric of the process and of the server that serves `request`, in the text format of Prometheus: what the built-in
/// handler `metrics` answers with.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn my_metrics(request: RequestParts<'_>) -> String {
///     bimetal::metrics::text(&request)
/// }
/// ```
pub fn text(request: &RequestParts<'_>) -> String {
    unsafe extern "C" fn visit(visitor: *mut c_void, text: BmSlice) {
        let _ = std::panic::catch_unwind(|| {
            // SAFETY: the pointer is that of `collected`, which is not used meanwhile; the text is valid during the call.
            unsafe { (*visitor.cast::<String>()).push_str(text.text().unwrap_or_default()) };
        });
    }
    let mut collected = String::new();
    if let Some(list) = host::table().and_then(|host| host.metrics_text) {
        // SAFETY: the host's function with the context of a request that is borrowed; `visit` gets the pointer it expects.
        unsafe { list(request.request().context(), visit, (&raw mut collected).cast()) };
    }
    collected
}

impl Counter {
    /// Adds 1.
    ///
    /// ```
    /// fn hit(hits: &bimetal::metrics::Counter) {
    ///     hits.inc();
    /// }
    /// ```
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `value`.
    ///
    /// ```
    /// fn received(bytes: &bimetal::metrics::Counter, body: &[u8]) {
    ///     bytes.add(body.len() as u64);
    /// }
    /// ```
    pub fn add(&self, value: u64) {
        if let Some(add) = host::table().and_then(|host| host.metric_add) {
            // SAFETY: the host's function with a handle of its own.
            unsafe { add(self.0 .0, value) };
        }
    }
}

impl Gauge {
    /// Sets it.
    ///
    /// ```
    /// fn waiting(queue: &bimetal::metrics::Gauge, jobs: &[u8]) {
    ///     queue.set(jobs.len() as f64);
    /// }
    /// ```
    pub fn set(&self, value: f64) {
        self.change(value, 0);
    }

    /// Adds `value`, which may be negative.
    ///
    /// ```
    /// fn closed(sessions: &bimetal::metrics::Gauge) {
    ///     sessions.add(-1.0);
    /// }
    /// ```
    pub fn add(&self, value: f64) {
        self.change(value, 1);
    }

    fn change(&self, value: f64, relative: u32) {
        if let Some(set) = host::table().and_then(|host| host.metric_set) {
            // SAFETY: the host's function with a handle of its own.
            unsafe { set(self.0 .0, value, relative) };
        }
    }
}

impl Histogram {
    /// Adds a value.
    ///
    /// ```
    /// fn took(seconds: &bimetal::metrics::Histogram, begun: std::time::Instant) {
    ///     seconds.observe(begun.elapsed().as_secs_f64());
    /// }
    /// ```
    pub fn observe(&self, value: f64) {
        if let Some(observe) = host::table().and_then(|host| host.metric_observe) {
            // SAFETY: the host's function with a handle of its own.
            unsafe { observe(self.0 .0, value) };
        }
    }
}

fn register(
    kind: u32,
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    bounds: &[f64],
) -> Result<Handle, MetricError> {
    let failed = |reason: &str| MetricError { name: name.to_owned(), reason: reason.to_owned() };
    let Some(host) = host::table() else {
        return Err(failed("the plugin is not initialised yet; register metrics in its `init` or later"));
    };
    let Some(register) = host.metric_register else {
        return Err(failed("this server keeps no metrics of plugins; update Bimetal"));
    };
    let fields: Vec<BmHeader> = labels
        .iter()
        .map(|(name, value)| BmHeader { name: BmSlice::borrow_str(name), value: BmSlice::borrow_str(value) })
        .collect();
    let metric = BmMetric {
        size: size_of::<BmMetric>() as u32,
        kind,
        n_labels: fields.len() as u32,
        n_bounds: bounds.len() as u32,
        name: BmSlice::borrow_str(name),
        help: BmSlice::borrow_str(help),
        labels: fields.as_ptr(),
        bounds: bounds.as_ptr(),
    };
    let (mut handle, mut error) = (ptr::null(), BmSlice::EMPTY);
    // SAFETY: the host's function; the metric lives through the call, the places are for writing.
    match unsafe { register(&metric, &mut handle, &mut error) } {
        RESULT_OK => Ok(Handle(handle)),
        // SAFETY: a static text of the host's.
        _ => Err(failed(
            unsafe { error.text() }.filter(|text| !text.is_empty()).unwrap_or("the server failed"),
        )),
    }
}
