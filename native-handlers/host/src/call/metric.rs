//! Metrics, as plugins register and use them, and the text that lists them.

use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;

use bimetal_abi::{
    BmHeader, BmMetric, BmSlice, BmTextVisitor, METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM,
    RESULT_FAILED, RESULT_OK, RESULT_PANIC,
};
use bimetal_runtime::metrics::exposition::{escape, head, sample, single};
use bimetal_runtime::metrics::{Phase, RouteTimes, Stats, StatusClass};
use bimetal_runtime::{LaneKind, ServerHandle};

use super::frame::Context;
use crate::metrics::{self, durations, Kind, Series, Wanted};
use crate::HostStats;

/// More labels or bounds than are ever read: a larger number is garbage.
const MAX_LISTED: u32 = 1024;

pub(super) unsafe extern "C" fn register(
    metric: *const BmMetric,
    handle: *mut *const c_void,
    error: *mut BmSlice,
) -> u32 {
    let registered = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin passes a metric that is valid during the call, with all it points to.
        let wanted = unsafe { metric.as_ref().ok_or("there is no metric").and_then(|metric| read(metric)) }?;
        metrics::register(&wanted)
    }));
    match registered {
        Ok(Ok(series)) => {
            // SAFETY: the plugin passes a place for the handle.
            unsafe { handle.write(std::ptr::from_ref(series).cast()) };
            RESULT_OK
        }
        Ok(Err(why)) => {
            // SAFETY: the plugin passes a place for the text, or none.
            if let Some(error) = unsafe { error.as_mut() } {
                *error = BmSlice::borrow_str(why);
            }
            RESULT_FAILED
        }
        Err(_) => RESULT_PANIC,
    }
}

/// What the plugin asks for.
///
/// # Safety
///
/// The metric, and what it points to, is valid as long as the result is used.
unsafe fn read(metric: &BmMetric) -> Result<Wanted<'_>, &'static str> {
    let kind = match metric.kind {
        METRIC_COUNTER => Kind::Counter,
        METRIC_GAUGE => Kind::Gauge,
        METRIC_HISTOGRAM => Kind::Histogram,
        _ => return Err("its type is unknown"),
    };
    let unreadable = "its labels or bounds cannot be read";
    if metric.n_labels > MAX_LISTED || metric.n_bounds > MAX_LISTED {
        return Err(unreadable);
    }
    let fields: &[BmHeader] = match metric.n_labels {
        0 => &[],
        _ if metric.labels.is_null() || !metric.labels.is_aligned() => return Err(unreadable),
        // SAFETY: not null, aligned, and the plugin says that so many are there.
        count => unsafe { slice::from_raw_parts(metric.labels, count as usize) },
    };
    let bounds: &[f64] = match metric.n_bounds {
        0 => &[],
        _ if metric.bounds.is_null() || !metric.bounds.is_aligned() => return Err(unreadable),
        // SAFETY: the same.
        count => unsafe { slice::from_raw_parts(metric.bounds, count as usize) },
    };
    let not_text = "its name, its help or a label is not text";
    // SAFETY: by this function's contract.
    let (name, help) = unsafe { (metric.name.text(), metric.help.text()) };
    let mut labels = Vec::with_capacity(fields.len());
    for field in fields {
        // SAFETY: by this function's contract.
        let (name, value) = unsafe { (field.name.text(), field.value.text()) };
        labels.push((name.ok_or(not_text)?, value.ok_or(not_text)?));
    }
    Ok(Wanted { kind, name: name.ok_or(not_text)?, help: help.ok_or(not_text)?, labels, bounds })
}

/// The series behind a handle.
///
/// # Safety
///
/// `handle` is null or comes from [`register`].
unsafe fn series(handle: *const c_void) -> Option<&'static Series> {
    // SAFETY: by this function's contract; a series is there until the process ends.
    unsafe { handle.cast::<Series>().as_ref() }
}

pub(super) unsafe extern "C" fn add(handle: *const c_void, value: u64) {
    // SAFETY: the plugin passes a handle it was given.
    if let Some(series) = unsafe { series(handle) } {
        series.add(value);
    }
}

pub(super) unsafe extern "C" fn set(handle: *const c_void, value: f64, relative: u32) {
    // SAFETY: the plugin passes a handle it was given.
    if let Some(series) = unsafe { series(handle) } {
        series.set(value, relative != 0);
    }
}

pub(super) unsafe extern "C" fn observe(handle: *const c_void, value: f64) {
    // SAFETY: the plugin passes a handle it was given.
    if let Some(series) = unsafe { series(handle) } {
        series.observe(value);
    }
}

pub(super) unsafe extern "C" fn text(ctx: *const c_void, visit: BmTextVisitor, visitor: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `ctx` is null or that of a request that is still borrowed.
        let context = unsafe { ctx.cast::<Context<'_>>().as_ref() };
        let text = match context {
            Some(context) => all(context.bound.server.as_ref(), context.bound.counters.stats()),
            None => metrics::text(),
        };
        // SAFETY: the plugin's function with its own pointer; the text is valid during the call.
        unsafe { visit(visitor, BmSlice::borrow_str(&text)) };
    }));
}

/// What a server and the native handlers count, then the plugins' own.
pub(crate) fn all(server: Option<&ServerHandle>, stats: HostStats) -> String {
    let mut text = String::new();
    if let Some(server) = server {
        of_server(&mut text, &server.stats());
        of_routes(&mut text, &server.route_times());
    }
    of_host(&mut text, stats);
    text.push_str(&metrics::text());
    text
}

/// What the server has done.
fn of_server(text: &mut String, stats: &Stats) {
    head(text, "bimetal_requests_total", "counter", "Requests answered, by lane.");
    for (lane, count) in LaneKind::ALL.into_iter().zip(stats.requests) {
        let labels = format!("lane=\"{}\"", lane.as_str());
        sample(text, "bimetal_requests_total", &labels, &count.to_string());
    }
    for (name, kind, help, value) in [
        ("bimetal_requests_unrouted_total", "counter", "Requests that no route answered.", stats.unrouted),
        ("bimetal_requests_in_flight", "gauge", "Requests being answered now.", stats.in_flight),
        ("bimetal_connections", "gauge", "Connections open now.", stats.connections),
    ] {
        single(text, name, kind, help, value as f64);
    }
}

/// Where the time of requests went.
fn of_routes(text: &mut String, times: &[RouteTimes]) {
    let labels = |times: &RouteTimes| {
        let (route, method) = (escape(&times.route, true), escape(&times.method, true));
        format!("route=\"{route}\",lane=\"{}\",method=\"{method}\"", times.lane.as_str())
    };
    let name = "bimetal_request_duration_seconds";
    head(text, name, "histogram", "Requests of routes, from the head to the end of the response.");
    for times in times {
        for (class, observed) in StatusClass::ALL.into_iter().zip(&times.durations) {
            if observed.count() > 0 {
                let labels = format!("{},status=\"{}\"", labels(times), class.as_str());
                durations(text, name, &labels, observed);
            }
        }
    }
    for phase in Phase::ALL {
        let (name, help) = match phase {
            Phase::Queue => ("bimetal_queue_seconds", "Waiting for the thread of the lane."),
            Phase::Interpreter => {
                ("bimetal_interpreter_wait_seconds", "The thread of the lane waiting for the interpreter.")
            }
            Phase::Handler => ("bimetal_handler_seconds", "In the handler, until its response begins."),
            Phase::Serialise => ("bimetal_serialise_seconds", "From the result of the handler to bytes."),
        };
        head(text, name, "histogram", help);
        for times in times {
            let observed = &times.phases[phase as usize];
            if observed.count() > 0 {
                durations(text, name, &labels(times), observed);
            }
        }
    }
    let name = "bimetal_handler_cpu_seconds";
    head(text, name, "histogram", "In the handler on a core, of one request in 17 on Python's lanes.");
    for times in times {
        if times.computed.count() > 0 {
            durations(text, name, &labels(times), &times.computed);
        }
    }
}

/// What went wrong in native handlers.
fn of_host(text: &mut String, stats: HostStats) {
    for (name, help, value) in [
        ("bimetal_native_panics_total", "Panics in native handlers.", stats.panics),
        ("bimetal_native_bad_responses_total", "Invalid responses of native handlers.", stats.bad_responses),
        (
            "bimetal_native_rejected_total",
            "Requests and jobs that found the blocking pool full.",
            stats.rejected,
        ),
        (
            "bimetal_native_timeouts_total",
            "Native handlers without an answer at their deadline.",
            stats.timeouts,
        ),
        (
            "bimetal_native_failed_streams_total",
            "Responses of native handlers that ended with an error on their way.",
            stats.failed_streams,
        ),
    ] {
        single(text, name, "counter", help, value as f64);
    }
}
