//! What the host offers to handlers, used by a plugin in Rust and by one in C: deadlines, jobs, calls of routes, metrics.

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bimetal_host::{Host, PoolConfig};
use support::{c_services, eventually, Served, HANG};

fn probe() -> Host {
    let host = Host::new();
    host.load(&support::probe(), None).unwrap();
    host
}

/// Held by tests that count what happens in the plugin, which they share.
static COUNTING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    COUNTING.lock().unwrap_or_else(PoisonError::into_inner)
}

const ECHO: (&str, &str) = ("/echo/{rest:path}", "probe.echo");
const RELAY: (&str, &str) = ("/relay/{method}", "probe.relay");

#[test]
fn handlers_that_may_wait_have_a_deadline() {
    let routes = [
        ("/sync", "probe.deadline_sync"),
        ("/blocking", "probe.deadline_blocking"),
        ("/async", "probe.deadline_async"),
    ];
    let server = Served::with_deadline(&probe(), &routes, Duration::from_secs(1000));
    assert_eq!(server.get("/sync").text(), "none");
    for target in ["/blocking", "/async"] {
        let left: u64 = server.get(target).text().parse().unwrap();
        assert!((1000 - HANG.as_secs()..1000).contains(&left), "{target}: {left}");
    }
    // Farther than any clock goes.
    let server = Served::with_deadline(&probe(), &routes, Duration::MAX);
    for target in ["/blocking", "/async"] {
        assert_eq!(server.get(target).status, 200);
    }
}

#[test]
fn a_job_runs_on_the_pool() {
    let server = Served::start(&probe(), &[("/job/{number}", "probe.job")]);
    // The system cuts the names of threads to 15 characters.
    assert_eq!(server.get("/job/21").text(), "bimetal-io-0 bimetal-blockin 42");
}

#[test]
fn a_job_that_panics_is_reported() {
    let host = probe();
    let server = Served::start(&host, &[("/panics", "probe.job_panics"), ("/job/{number}", "probe.job")]);
    let reply = server.get("/panics");
    assert_eq!((reply.status, reply.text()), (500, r#"{"detail":"Internal Server Error"}"#));
    assert_eq!(host.stats().panics, 2);
    assert_eq!(server.get("/job/1").status, 200);
}

#[test]
fn a_job_beyond_the_pool_and_its_queue_is_refused() {
    let _alone = alone();
    let host = Host::with_pool(PoolConfig { threads: 1, queue: 1, idle: HANG });
    host.load(&support::probe(), None).unwrap();
    let server = Served::start(
        &host,
        &[
            ("/waits", "probe.job_waits"),
            ("/open", "probe.open"),
            ("/close", "probe.close"),
            ("/counts", "probe.counts"),
        ],
    );
    let before = server.get("/counts").text().to_owned();
    assert_eq!(server.get("/close").text(), "closed");
    assert_eq!(server.get("/waits?detach=1").text(), "done");
    eventually("the first job runs", || (server.get("/counts").text() != before).then_some(()));
    assert_eq!(server.get("/waits?detach=1").text(), "done");
    let full = server.get("/waits?detach=0");
    assert_eq!((full.status, full.text()), (503, r#"{"detail":"The pool of blocking handlers is full"}"#));
    assert_eq!(full.header("retry-after"), Some("1"));
    assert_eq!(host.stats().rejected, 1);
    server.get("/open");
}

#[test]
fn services_are_for_handlers_that_may_wait() {
    let server = Served::start(
        &probe(),
        &[
            ("/job", "probe.job_outside"),
            ("/call", "probe.outcome_outside"),
            ("/wait", "probe.outcome_on_worker"),
            ECHO,
        ],
    );
    assert_eq!(server.get("/job").text(), "Ready(Err(Outside))");
    let sync = server.get("/call?to=/echo/x");
    assert!(
        sync.text().starts_with("Outside: a route was called outside of an async or blocking"),
        "{}",
        sync.text()
    );
    let waits = server.get("/wait?to=/echo/x");
    assert!(
        waits.text().starts_with("Outside: call_route_blocking was called on an I/O worker"),
        "{}",
        waits.text()
    );
}

#[test]
fn a_route_is_called_as_if_from_outside() {
    let routes = [
        RELAY,
        ECHO,
        ("/blocking", "probe.relay_blocking"),
        ("/both", "probe.both"),
        ("/created", "probe.created"),
        ("/panics", "probe.panics"),
        ("/large/{size}", "probe.large"),
        ("/nine/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "probe.nine"),
    ];
    let server = Served::start(&probe(), &routes);
    let mut client = server.client();
    client.send("POST", "/relay/POST?to=/echo/a%2520b?y=1", &["x-one: 1", "x-two: 2"], b"the body");
    let echoed = client.receive();
    assert_eq!((echoed.status, echoed.text()), (200, "POST /echo/a b y=1 x-one=1,x-two=2 the body"));
    client.send("POST", "/blocking?to=/echo/b", &[], b"wait");
    assert_eq!(client.receive().text(), "POST /echo/b  x-one=1 wait");
    assert_eq!(client.get("/both?to=/echo/c").text(), "200 GET /echo/c    200 GET /echo/c   ");
    let created = client.get("/relay/GET?to=/created");
    assert_eq!((created.status, created.text(), created.header("location")), (201, "[1,2]", Some("/x")));
    assert_eq!(created.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    assert_eq!(created.header("content-type"), Some("application/json"));
    for (target, status) in
        [("/nowhere", 404), ("/panics", 500), ("/nine/1/2/3/4/5/6/7/8/no", 422), ("/large/3000000", 200)]
    {
        assert_eq!(client.get(&format!("/relay/GET?to={target}")).status, status, "{target}");
    }
    assert_eq!(client.get("/relay/GET?to=/large/3000000").body.len(), 3_000_000);
    let wrong_method = client.get("/relay/DELETE?to=/created");
    assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("GET, POST, HEAD")));
}

#[test]
fn a_call_that_has_no_answer_says_why() {
    let server =
        Served::start(&probe(), &[("/outcome", "probe.outcome_of"), ("/again/{depth}", "probe.again"), ECHO]);
    let mut client = server.client();
    for (query, says) in [
        ("to=/echo/x&header=upgrade", "Upgrade: a call inside the server cannot become a WebSocket"),
        ("to=nowhere", "Invalid: the target is not path and query"),
        ("to=http://elsewhere/", "Invalid: the target is not path and query"),
        ("to=/a%20b", "Invalid: the target is not path and query"),
        ("to=/echo/x&header=a%20b", "Invalid: `a b` is not the name of a header field"),
        ("to=/echo/x&header=connection", "200 GET /echo/x"),
        ("to=/echo/x&header=content-length", "200 GET /echo/x"),
    ] {
        let reply = client.get(&format!("/outcome?{query}"));
        assert!(reply.text().starts_with(says), "{query}: {}", reply.text());
    }
    // Eight calls deep is allowed; the route of the eighth may not call a ninth.
    let deep = client.get("/again/0");
    assert!(
        deep.text().starts_with("8 TooDeep: 8 routes have called one another already"),
        "{}",
        deep.text()
    );
}

#[test]
fn a_caller_that_is_gone_cancels_its_call() {
    let _alone = alone();
    let server = Served::start(
        &probe(),
        &[
            ("/outcome", "probe.outcome_of"),
            ("/gives_up", "probe.gives_up"),
            ("/forever", "probe.forever"),
            ("/counts", "probe.counts"),
        ],
    );
    let counts = || {
        let reply = server.get("/counts");
        let (started, dropped) = reply.text().split_once(' ').unwrap();
        (started.parse::<u32>().unwrap(), dropped.parse::<u32>().unwrap())
    };
    let before = counts();
    let mut client = server.client();
    client.send("GET", "/outcome?to=/forever", &[], b"");
    eventually("the route is called", || (counts().0 > before.0).then_some(()));
    drop(client);
    eventually("its future is dropped", || (counts().1 > before.1).then_some(()));
    assert_eq!(server.get("/gives_up?to=/forever").text(), "given up");
    eventually("so is that of the second", || (counts().1 > before.1 + 1).then_some(()));
}

#[test]
fn a_call_ends_at_the_deadline_of_its_caller() {
    let _alone = alone();
    let host = probe();
    let routes =
        [("/blocking", "probe.relay_blocking"), ("/forever", "probe.forever"), ("/counts", "probe.counts")];
    let server = Served::with_deadline(&host, &routes, Duration::from_millis(50));
    let mut client = server.client();
    client.send("POST", "/blocking?to=/forever", &[], b"x");
    assert_eq!(client.receive().status, 504);
    // The thread of the pool is free again, or this would never return.
    eventually("the pool's thread is free", || {
        let mut client = server.client();
        client.send("POST", "/blocking?to=/counts", &[], b"x");
        (client.receive().status == 200).then_some(())
    });
}

#[test]
fn a_handler_without_a_server_calls_nothing() {
    let server = Served::without_handle(&probe(), &[("/outcome", "probe.outcome_of")]);
    let reply = server.get("/outcome?to=/outcome");
    assert!(reply.text().starts_with("Stopped: the server does not serve"), "{}", reply.text());
}

#[test]
fn metrics_are_listed_with_the_servers_own() {
    let host = probe();
    for plugin in bimetal_builtin::plugins().unwrap() {
        host.register_static(plugin).unwrap();
    }
    let server = Served::start(&host, &[("/metrics", "metrics"), ("/count", "probe.count")]);
    let mut client = server.client();
    for size in ["0.5", "7", "100"] {
        assert_eq!(
            client.get(&format!("/count?size={size}")).text(),
            "the metric `probe_hits_total` cannot be registered: there is a metric of this name already, of another type"
        );
    }
    let metrics = client.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE bimetal_requests_total counter",
        "bimetal_requests_total{lane=\"native\"} 3",
        "bimetal_requests_in_flight 1",
        "bimetal_connections 1",
        "bimetal_native_panics_total 0",
        "# HELP probe_hits_total What was counted.",
        "probe_hits_total{kind=\"a\"} 3",
        "probe_open 3.5",
        "probe_sizes_bucket{le=\"1\"} 1",
        "probe_sizes_bucket{le=\"10\"} 2",
        "probe_sizes_bucket{le=\"+Inf\"} 3",
        "probe_sizes_sum 107.5",
        "probe_sizes_count 3",
    ] {
        assert!(metrics.text().lines().any(|known| known == line), "{line}\n{}", metrics.text());
    }
}

#[test]
fn a_plugin_in_c_uses_them_too() {
    let host = probe();
    host.load(&c_services(), None).unwrap();
    for plugin in bimetal_builtin::plugins().unwrap() {
        host.register_static(plugin).unwrap();
    }
    let server = Served::start(
        &host,
        &[
            ("/deadline", "cserv.deadline"),
            ("/deadline_blocking", "cserv.deadline_blocking"),
            ("/relay", "cserv.relay"),
            ("/sum", "cserv.add_up"),
            ("/probe/echo/{rest:path}", "probe.echo"),
            ("/metrics", "metrics"),
        ],
    );
    let mut client = server.client();
    assert_eq!(client.get("/deadline").text(), "none");
    assert_eq!(client.get("/deadline_blocking").text(), "ahead");
    client.send("POST", "/relay", &[], b"a body");
    assert_eq!(client.receive().text(), "0 200 POST /probe/echo/from-c x=1 x-from=C a body");
    assert_eq!(client.get("/sum").text(), "5050 1 1");
    let metrics = client.get("/metrics");
    assert!(metrics.text().contains("cserv_hits_total{of=\"deadline\"} 4\n"), "{}", metrics.text());
}
