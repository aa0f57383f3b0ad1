//! Where the time of requests goes: by route in the server's figures, and in a header field where that is wanted.

mod common;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::metrics::{Phase, Phases, RouteTimes, StatusClass};
use bimetal_runtime::{Answer, Body, BodyMode, Config, LaneKind, Response, Route, RouteTable, Running};
use common::{get, get_later, route, serve, serve_with, table, until, Client};

const WORK: Duration = Duration::from_millis(5);

fn ok() -> Response {
    Response::new(StatusCode::OK).with_body("ok")
}

/// A route of a lane that says itself where the time went.
fn on_lane(pattern: &str, lane: LaneKind) -> Route {
    let handler = |_| {
        let mut response = ok();
        let mut phases = Phases::default();
        phases.set(Phase::Queue, Duration::from_micros(1_500));
        phases.set(Phase::Serialise, Duration::from_micros(2));
        response.phases = Some(Box::new(phases));
        Answer::Now(response)
    };
    Route { lane, ..route(&[Method::GET], pattern, BodyMode::Ignored, handler) }
}

/// So many chunks, each of which takes its time.
struct Slow(u32);

impl futures_core::Stream for Slow {
    type Item = Result<bytes::Bytes, bimetal_runtime::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        std::thread::sleep(WORK);
        Poll::Ready(Some(Ok("chunk".into())))
    }
}

fn counts(server: &Running) -> Vec<(String, String, String, u64)> {
    let mut found = Vec::new();
    for times in server.route_times() {
        for (class, observed) in StatusClass::ALL.into_iter().zip(&times.durations) {
            if observed.count() > 0 {
                let RouteTimes { route, method, .. } = times.clone();
                found.push((route, method, class.as_str().to_owned(), observed.count()));
            }
        }
    }
    found
}

fn counted(route: &str, method: &str, status: &str, count: u64) -> (String, String, String, u64) {
    (route.to_owned(), method.to_owned(), status.to_owned(), count)
}

#[test]
fn requests_are_counted_by_route_method_and_status() {
    let hang = route(&[Method::GET], "/hang", BodyMode::Ignored, |_| {
        Answer::Later(Box::pin(std::future::pending()))
    });
    let server = serve(vec![
        get("/users/{id}", |request| match request.param(0) {
            Some("0") => Response::detail(StatusCode::NOT_FOUND, "Not Found"),
            _ => ok(),
        }),
        route(&[Method::POST], "/users/{id}", BodyMode::Buffered, |_| Answer::Now(ok())),
        get("/panics", |_| panic!("on purpose")),
        hang,
    ]);
    let mut client = Client::connect(server.local_addr());
    for target in ["/users/1", "/users/2", "/users/0", "/panics", "/nowhere"] {
        client.get(target);
    }
    client.send("POST /users/3 HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.reply().status, 200);
    client.send("GET /hang HTTP/1.1\r\nhost: test\r\n\r\n");
    until(|| server.stats().in_flight == 1);
    drop(client);
    until(|| server.stats().in_flight == 0);
    let expected = [
        counted("/users/{id}", "GET", "2xx", 2),
        counted("/users/{id}", "GET", "4xx", 1),
        counted("/users/{id}", "POST", "2xx", 1),
        counted("/panics", "GET", "5xx", 1),
        counted("/hang", "GET", "none", 1),
    ];
    assert_eq!(counts(&server), expected);
}

#[test]
fn a_request_that_no_route_answers_has_none() {
    let routes =
        RouteTable::new(vec![get("/", |_| ok())], Some(on_lane("/{path:path}", LaneKind::Asgi))).unwrap();
    let server = bimetal_runtime::Server::bind(Config { timing: true, ..Config::default() }).unwrap();
    let with_fallback = server.serve(routes.into()).unwrap();
    let reply = Client::connect(with_fallback.local_addr()).get("/any/thing?at=all");
    assert_eq!(reply.header("server-timing"), Some("queue;dur=1.500, serialise;dur=0.002"));
    assert_eq!(counts(&with_fallback), [counted("/{path:path}", "GET", "2xx", 1)]);

    let bare = serve_with(Config { timing: true, ..Config::default() }, vec![]);
    let reply = Client::connect(bare.local_addr()).get("/any");
    assert_eq!((reply.status, reply.header("server-timing")), (404, None));
    assert_eq!(counts(&bare), []);
}

#[test]
fn the_time_of_a_native_handler_is_its_own() {
    let works = get("/works", |_| {
        std::thread::sleep(WORK);
        ok()
    });
    let later = get_later("/later", |_| async {
        tokio::time::sleep(WORK).await;
        ok()
    });
    let server = serve(vec![works, later, get("/idle", |_| ok())]);
    let mut client = Client::connect(server.local_addr());
    for target in ["/works", "/later", "/idle"] {
        client.get(target);
    }
    let times = server.route_times();
    for (times, least) in times.iter().zip([WORK, WORK, Duration::ZERO]) {
        let handler = &times.phases[Phase::Handler as usize];
        assert_eq!(handler.count(), 1, "{times:?}");
        let whole = &times.durations[StatusClass::Success as usize];
        assert!(handler.sum() >= least && whole.sum() >= handler.sum(), "{times:?}");
        let others = [Phase::Queue, Phase::Interpreter, Phase::Serialise];
        assert!(others.iter().all(|phase| times.phases[*phase as usize].count() == 0), "{times:?}");
    }
}

#[test]
fn the_body_of_a_request_is_no_time_of_the_handler() {
    let server = serve(vec![route(&[Method::POST], "/", BodyMode::Buffered, |_| Answer::Now(ok()))]);
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nh");
    until(|| server.stats().in_flight == 1);
    std::thread::sleep(WORK);
    client.send("i");
    client.reply();
    let times = &server.route_times()[0];
    let (whole, handler) = (&times.durations[2], &times.phases[Phase::Handler as usize]);
    assert!(whole.sum() >= handler.sum() + WORK, "{times:?}");
}

#[test]
fn a_response_in_parts_takes_until_its_last_part() {
    let server =
        serve(vec![get("/", |_| Response::new(StatusCode::OK).with_body(Body::Stream(Box::pin(Slow(2)))))]);
    Client::connect(server.local_addr()).get("/");
    until(|| server.stats().in_flight == 0);
    let times = &server.route_times()[0];
    let whole = &times.durations[StatusClass::Success as usize];
    assert!(whole.sum() >= times.phases[Phase::Handler as usize].sum() + 2 * WORK, "{times:?}");
}

#[test]
fn a_header_field_says_so_where_it_is_wanted() {
    let routes = || vec![get("/native", |_| ok()), on_lane("/sync", LaneKind::Sync)];
    let quiet = serve(routes());
    assert_eq!(Client::connect(quiet.local_addr()).get("/sync").header("server-timing"), None);
    let server = serve_with(Config { timing: true, ..Config::default() }, routes());
    let mut client = Client::connect(server.local_addr());
    let native = client.get("/native");
    let value = native.header("server-timing").unwrap();
    assert!(value.strip_prefix("handler;dur=").is_some_and(|value| value.parse::<f64>().is_ok()), "{value}");
    let sync = client.get("/sync");
    assert_eq!(sync.header("server-timing"), Some("queue;dur=1.500, serialise;dur=0.002"));
}

#[test]
fn the_figures_go_on_when_the_routes_are_replaced() {
    let server = serve(vec![get("/kept", |_| ok()), get("/gone", |_| ok())]);
    let mut client = Client::connect(server.local_addr());
    client.get("/kept");
    client.get("/gone");
    server.swap(table(vec![get("/new", |_| ok()), get("/kept", |_| ok())]));
    client.get("/kept");
    client.get("/new");
    let expected = [
        counted("/new", "GET", "2xx", 1),
        counted("/kept", "GET", "2xx", 2),
        counted("/gone", "GET", "2xx", 1),
    ];
    assert_eq!(counts(&server), expected);
}
