//! The times of requests by route, method and lane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::histogram::{Histogram, Observed};
use super::phases::{Phase, Phases};
use crate::http::{Method, StatusCode};
use crate::lane::LaneKind;
use crate::routing::Route;

/// The methods that a route for all of them is counted by. What else a client may send is counted as one more.
static METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];
const OTHER: &str = "other";

/// What kind of status a response has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// There was no response: the client went away first.
    None,
    /// 100 to 199.
    Informational,
    /// 200 to 299.
    Success,
    /// 300 to 399.
    Redirection,
    /// 400 to 499.
    ClientError,
    /// 500 to 599.
    ServerError,
    /// 600 and more.
    Other,
}

impl StatusClass {
    /// Every class.
    pub const ALL: [StatusClass; 7] = [
        StatusClass::None,
        StatusClass::Informational,
        StatusClass::Success,
        StatusClass::Redirection,
        StatusClass::ClientError,
        StatusClass::ServerError,
        StatusClass::Other,
    ];

    /// The class's name: `2xx` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            StatusClass::None => "none",
            StatusClass::Informational => "1xx",
            StatusClass::Success => "2xx",
            StatusClass::Redirection => "3xx",
            StatusClass::ClientError => "4xx",
            StatusClass::ServerError => "5xx",
            StatusClass::Other => OTHER,
        }
    }

    fn of(status: Option<StatusCode>) -> StatusClass {
        let hundreds = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        StatusClass::ALL[hundreds.min(StatusClass::Other as usize)]
    }
}

/// The times of one route's requests with one method.
#[derive(Clone, Debug)]
pub struct RouteTimes {
    /// The route's pattern.
    pub route: String,
    /// The method; `other` for any that has no place of its own.
    pub method: String,
    /// The route's lane.
    pub lane: LaneKind,
    /// How long requests took, from their head to the end of the response, in the order of [`StatusClass::ALL`].
    pub durations: [Observed; StatusClass::ALL.len()],
    /// How long their phases took, in the order of [`Phase::ALL`].
    pub phases: [Observed; Phase::ALL.len()],
    /// For how long the thread of the handler was on a core, of the requests for which that was measured.
    pub computed: Observed,
}

/// One I/O worker's part. Only that worker writes it; it has cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Part {
    durations: [Histogram; StatusClass::ALL.len()],
    phases: [Histogram; Phase::ALL.len()],
    computed: Histogram,
}

/// The histograms of one route's requests with one method, allocated when the route is published.
pub(crate) struct Series {
    route: String,
    method: String,
    lane: LaneKind,
    /// By the number of the worker.
    parts: Box<[Part]>,
}

impl Series {
    /// Notes the phases of a request; on I/O worker number `worker`, as all that is noted here.
    pub(crate) fn note_phases(&self, worker: usize, phases: &Phases) {
        let part = &self.parts[worker];
        for phase in Phase::ALL {
            if let Some(nanos) = phases.nanos(phase) {
                part.phases[phase as usize].observe(nanos);
            }
        }
        if let Some(nanos) = phases.computed_nanos() {
            part.computed.observe(nanos);
        }
    }

    /// Notes the end of a request that has taken so many nanoseconds.
    pub(crate) fn note_end(&self, worker: usize, status: Option<StatusCode>, nanos: u64) {
        self.parts[worker].durations[StatusClass::of(status) as usize].observe(nanos);
    }

    fn times(&self) -> RouteTimes {
        let mut times = RouteTimes {
            route: self.route.clone(),
            method: self.method.clone(),
            lane: self.lane,
            durations: Default::default(),
            phases: Default::default(),
            computed: Observed::default(),
        };
        for part in &self.parts {
            for (total, histogram) in times.durations.iter_mut().zip(&part.durations) {
                histogram.add_to(total);
            }
            for (total, histogram) in times.phases.iter_mut().zip(&part.phases) {
                histogram.add_to(total);
            }
            part.computed.add_to(&mut times.computed);
        }
        times
    }
}

impl RouteTimes {
    fn is_empty(&self) -> bool {
        self.durations.iter().chain(&self.phases).all(|observed| observed.count() == 0)
    }
}

/// The series of one server. Those of a route that is published again go on.
pub(crate) struct SeriesList {
    workers: usize,
    series: Mutex<Vec<Arc<Series>>>,
}

impl SeriesList {
    pub(crate) fn new(workers: usize) -> SeriesList {
        SeriesList { workers, series: Mutex::default() }
    }

    /// The series of each of `routes`, which are to be served from now on. Each has one for each of its methods; one that
    /// answers all has one for each of the usual methods and another one for the rest.
    pub(crate) fn publish<'a>(&self, routes: impl Iterator<Item = &'a Route>) -> Vec<Box<[Arc<Series>]>> {
        let mut series = self.lock();
        let key = |series: &Arc<Series>| (series.route.clone(), series.method.clone(), series.lane);
        let mut old: Vec<Arc<Series>> = std::mem::take(&mut *series);
        let known: HashMap<_, _> = old.iter().map(|series| (key(series), Arc::clone(series))).collect();
        let mut listed = HashMap::new();
        let mut of_method = |route: &Route, method: &str| {
            let key = (route.pattern.clone(), method.to_owned(), route.lane);
            let found = listed.entry(key).or_insert_with_key(|key| {
                let found = known.get(key).cloned().unwrap_or_else(|| self.make(route, method));
                series.push(Arc::clone(&found));
                found
            });
            Arc::clone(found)
        };
        let all = routes
            .map(|route| {
                if route.methods.is_empty() {
                    let names = METHODS.iter().map(Method::as_str).chain([OTHER]);
                    return names.map(|name| of_method(route, name)).collect();
                }
                route.methods.iter().map(|method| of_method(route, method.as_str())).collect()
            })
            .collect();
        // Of routes that are gone, what they have counted stays.
        old.retain(|series| !listed.contains_key(&key(series)) && !series.times().is_empty());
        series.append(&mut old);
        all
    }

    fn make(&self, route: &Route, method: &str) -> Arc<Series> {
        Arc::new(Series {
            route: route.pattern.clone(),
            method: method.to_owned(),
            lane: route.lane,
            parts: (0..self.workers).map(|_| Part::default()).collect(),
        })
    }

    /// The times of every route and method that has had a request, in the order of the routes.
    pub(crate) fn times(&self) -> Vec<RouteTimes> {
        self.lock().iter().map(|series| series.times()).filter(|times| !times.is_empty()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Series>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of a route's series, as [`SeriesList::publish`] gives them, a request with `method` belongs to.
pub(crate) fn place(route: &Route, method: &Method) -> usize {
    let among = |methods: &[Method]| methods.iter().position(|known| known == method);
    match &*route.methods {
        [] => among(&METHODS).unwrap_or(METHODS.len()),
        [_] => 0,
        methods => among(methods).unwrap_or(0),
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
