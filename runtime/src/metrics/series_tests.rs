use super::*;
use crate::http::{Request, Response};
use crate::lane::{Answer, BodyMode, Handler};

struct Nothing;

impl Handler for Nothing {
    fn call(&self, _: Request) -> Answer {
        Answer::Now(Response::new(StatusCode::OK))
    }
}

fn route(pattern: &str, methods: &[Method]) -> Route {
    Route {
        pattern: pattern.to_owned(),
        methods: methods.to_vec(),
        lane: LaneKind::Native,
        body: BodyMode::Ignored,
        handler: Arc::new(Nothing),
    }
}

const NANOS: u64 = 7_000;

fn names(list: &SeriesList) -> Vec<(String, String, u64)> {
    let count = |times: &RouteTimes| times.durations.iter().map(Observed::count).sum();
    list.times().iter().map(|times| (times.route.clone(), times.method.clone(), count(times))).collect()
}

fn named(name: &str, method: &str, count: u64) -> (String, String, u64) {
    (name.to_owned(), method.to_owned(), count)
}

#[test]
fn requests_are_counted_by_route_method_and_status_on_each_worker() {
    let list = SeriesList::new(2);
    let routes = [route("/a", &[Method::GET]), route("/b", &[Method::GET, Method::POST])];
    let series = list.publish(routes.iter());
    assert!(list.times().is_empty());
    for (worker, status) in [(0, Some(200)), (1, Some(204)), (1, Some(404)), (0, Some(700)), (0, None)] {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        series[1][place(&routes[1], &Method::POST)].note_end(worker, status, NANOS);
    }
    let mut phases = Phases::default();
    phases.set_nanos(Phase::Handler, NANOS);
    series[1][place(&routes[1], &Method::POST)].note_phases(1, &phases);
    let times = list.times();
    assert_eq!(names(&list), [named("/b", "POST", 5)]);
    let counts = StatusClass::ALL.map(|class| (class.as_str(), times[0].durations[class as usize].count()));
    let zero = [("1xx", 0), ("3xx", 0), ("5xx", 0)];
    assert_eq!(counts[0], ("none", 1));
    assert_eq!([counts[2], counts[4], counts[6]], [("2xx", 2), ("4xx", 1), ("other", 1)]);
    assert_eq!([counts[1], counts[3], counts[5]], zero);
    assert_eq!(times[0].phases.clone().map(|phase| phase.count()), [0, 0, 1, 0]);
    assert_eq!(times[0].phases[Phase::Handler as usize].sum(), std::time::Duration::from_nanos(NANOS));
}

#[test]
fn a_route_for_all_methods_has_no_more_series_than_there_are_usual_methods() {
    let list = SeriesList::new(1);
    let routes = [route("/", &[])];
    let series = list.publish(routes.iter());
    for method in ["GET", "PATCH", "BREW", "WHEN"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        series[0][place(&routes[0], &method)].note_end(0, None, NANOS);
    }
    let expected = [named("/", "GET", 1), named("/", "PATCH", 1), named("/", "other", 2)];
    assert_eq!(names(&list), expected);
    assert_eq!(series[0].len(), METHODS.len() + 1);
}

#[test]
fn what_is_published_again_goes_on() {
    let list = SeriesList::new(1);
    let get = [Method::GET];
    let first = [route("/gone", &get), route("/kept", &get), route("/unused", &get)];
    let series = list.publish(first.iter());
    series[0][0].note_end(0, None, NANOS);
    series[1][0].note_end(0, None, NANOS);
    let second = [route("/new", &get), route("/kept", &get), route("/kept", &get)];
    let series = list.publish(second.iter());
    // A second route of the same pattern is the same to whoever reads the figures.
    for (of, route) in series.iter().zip(&second) {
        of[place(route, &Method::GET)].note_end(0, None, NANOS);
    }
    assert_eq!(names(&list), [named("/new", "GET", 1), named("/kept", "GET", 3), named("/gone", "GET", 1)]);
    assert_eq!(list.lock().len(), 3);
}
