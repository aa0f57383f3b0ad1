//! Bind, start, drain, stop: nothing is lost and nothing is left.

mod common;

use std::net::{TcpListener, TcpStream};
use std::sync::{mpsc, Mutex};
use std::time::{Duration, Instant};

use bimetal_runtime::http::StatusCode;
use bimetal_runtime::{Body, Config, ErrorKind, Listener, Response, Server};
use common::{get, get_later, serve, serve_with, table, Client, HANG};
use tokio::sync::watch;

/// Threads belong to the whole process: servers of other tests would be counted with them.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn text(text: &str) -> Response {
    Response::new(StatusCode::OK).with_body(text.to_owned())
}

fn io_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("proc is mounted")
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("bimetal-io"))
        .count()
}

#[test]
fn nothing_in_flight_is_nothing_to_wait_for() {
    let _alone = alone();
    let server = serve(vec![get("/", |_| text("x"))]);
    let mut idle = Client::connect(server.local_addr());
    assert_eq!(idle.get("/").text(), "x");
    let silent = Client::connect(server.local_addr());
    common::until(|| server.stats().connections == 2);
    let began = Instant::now();
    assert!(server.stop());
    // Far less than the second after which a poll would notice.
    assert!(began.elapsed() < Duration::from_millis(500), "took {:?}", began.elapsed());
    idle.assert_ended();
    drop(silent);
}

#[test]
fn what_is_in_flight_finishes_while_new_connections_are_refused() {
    let _alone = alone();
    let (release, gate) = watch::channel(false);
    let gate_of = move || {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
        }
    };
    let (of_later, of_stream) = (gate_of.clone(), gate_of);
    let large = "x".repeat(5_000_000);
    let body = large.clone();
    let server = serve(vec![
        get_later("/later", move |_| {
            let (gate, body) = (of_later(), body.clone());
            async move {
                gate.await;
                text(&body)
            }
        }),
        get("/stream", move |_| {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            let gate = of_stream();
            bimetal_runtime::http::spawn_local(async move {
                sender.send(Ok("before".into())).await.unwrap();
                gate.await;
                sender.send(Ok("after".into())).await.unwrap();
            });
            Response::new(StatusCode::OK).with_body(Body::Stream(Box::pin(Receiving(receiver))))
        }),
    ]);
    let address = server.local_addr();
    let mut later = Client::connect(address);
    later.send("GET /later HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut stream = Client::connect(address);
    stream.send("GET /stream HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(stream.head().status, 200);
    assert_eq!(stream.chunk().unwrap(), b"before");
    common::until(|| server.stats().in_flight == 2);

    let (stopped, has_stopped) = mpsc::channel();
    let stopper = std::thread::spawn(move || stopped.send(server.stop()));
    common::until(|| TcpStream::connect(address).is_err());
    assert!(has_stopped.try_recv().is_err());
    release.send(true).unwrap();
    let reply = later.reply();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(reply.text() == large);
    later.assert_ended();
    assert_eq!(stream.chunk().unwrap(), b"after");
    assert_eq!(stream.chunk(), None);
    stream.assert_ended();
    assert!(has_stopped.recv_timeout(HANG).expect("the server stopped"));
    stopper.join().unwrap().unwrap();
}

struct Receiving(tokio::sync::mpsc::Receiver<Result<bytes::Bytes, bimetal_runtime::Error>>);

impl futures_core::Stream for Receiving {
    type Item = Result<bytes::Bytes, bimetal_runtime::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

#[test]
fn a_request_that_is_sent_already_is_answered() {
    let _alone = alone();
    for _ in 0..20 {
        let server = serve(vec![get("/", |_| text("x"))]);
        let mut clients: Vec<_> = (0..10).map(|_| Client::connect(server.local_addr())).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        }
        assert!(server.stop());
        for client in &mut clients {
            assert_eq!(client.reply().text(), "x");
        }
    }
}

#[test]
fn in_a_handover_an_idle_connection_ends_with_its_next_answer() {
    let _alone = alone();
    let config = Config { handover: HANG, drain_timeout: 2 * HANG, ..Config::default() };
    let server = serve_with(config, vec![get("/", |_| text("x"))]);
    let address = server.local_addr();
    let mut client = Client::connect(address);
    let reply = client.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("x", None));
    let began = Instant::now();
    let stopper = std::thread::spawn(move || server.stop());
    common::until(|| TcpStream::connect(address).is_err());
    let reply = client.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("x", Some("close")));
    client.assert_ended();
    // Nobody is left to wait for.
    assert!(stopper.join().unwrap());
    assert!(began.elapsed() < HANG);
}

#[test]
fn a_handover_ends() {
    let _alone = alone();
    let config = Config { handover: Duration::from_millis(50), ..Config::default() };
    let server = serve_with(config, vec![get("/", |_| text("x"))]);
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/").text(), "x");
    assert!(server.stop());
    client.assert_ended();
}

#[test]
fn a_drain_ends_when_its_time_is_up() {
    let _alone = alone();
    let config = Config { drain_timeout: Duration::from_millis(100), ..Config::default() };
    let (dropped, drops) = mpsc::channel::<()>();
    let server = serve_with(
        config,
        vec![get_later("/", move |_| {
            let dropped = dropped.clone();
            async move {
                let _dropped = dropped;
                std::future::pending().await
            }
        })],
    );
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    common::until(|| server.stats().in_flight == 1);
    assert!(!server.stop());
    client.assert_ended();
    // The handler's future went with its server.
    assert_eq!(drops.recv_timeout(HANG), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_handler_that_never_returns_does_not_hold_up_the_stop_for_ever() {
    let _alone = alone();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let config = Config { drain_timeout: Duration::from_millis(1), ..Config::default() };
    let server = serve_with(
        config,
        vec![get("/", move |_| {
            let _ = gate.lock().unwrap().recv();
            text("late")
        })],
    );
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    common::until(|| server.stats().in_flight == 1);
    assert!(!server.stop());
    drop(release);
    common::until(|| io_threads() == 0);
}

#[test]
fn a_client_that_takes_nothing_of_a_response_is_given_up() {
    let _alone = alone();
    let config = Config { body_timeout: Duration::from_millis(200), ..Config::default() };
    let large = "x".repeat(20_000_000);
    let server = serve_with(config, vec![get("/", move |_| text(&large))]);
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    common::until(|| server.stats().connections == 1);
    common::until(|| server.stats().connections == 0);
    drop(client);
}

#[test]
fn a_listening_socket_can_be_shared() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = |name: &'static str| {
        let listener = Listener::from_socket(listener.try_clone().unwrap()).unwrap();
        let server = Server::from_listener(Config::default(), listener).unwrap();
        assert_eq!(server.local_addr(), address);
        server.serve(table(vec![get("/", move |_| text(name))])).unwrap()
    };
    let (old, new) = (start("old"), start("new"));
    assert!(old.stop());
    for _ in 0..10 {
        assert_eq!(Client::connect(address).get("/").text(), "new");
    }
    assert!(new.stop());
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Server::bind(Config { port, ..Config::default() }).err().expect("the port is taken");
    assert_eq!(error.kind(), ErrorKind::Bind);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on 127.0.0.1:{port}: address already in use (another process has the port; \
             choose another with --port, or 0 for any free one)"
        )
    );
    // Bound by two, listened on by one.
    let first = Server::bind(Config::default()).unwrap();
    let port = first.local_addr().port();
    let second = Server::bind(Config { port, ..Config::default() }).unwrap();
    let _running = first.serve(table(vec![])).unwrap();
    assert_eq!(second.serve(table(vec![])).err().expect("the port is taken").kind(), ErrorKind::Bind);
}

#[test]
fn other_addresses_that_cannot_be_had() {
    for (host, what) in
        [("192.0.2.1", "does not have the address"), ("no.such.host.invalid", "cannot be resolved")]
    {
        let error = Server::bind(Config { host: host.to_owned(), ..Config::default() }).err().expect(host);
        assert_eq!(error.kind(), ErrorKind::Bind);
        assert!(error.to_string().contains(what) && error.to_string().contains(host), "{error}");
    }
    let config = Config { io_threads: 0, ..Config::default() };
    assert_eq!(Server::bind(config).err().expect("nothing would serve").kind(), ErrorKind::Config);
}

#[test]
fn host_names_and_both_families_can_be_listened_on() {
    let _alone = alone();
    for host in ["localhost", "127.0.0.1", "::1", "0.0.0.0"] {
        let config = Config { host: host.to_owned(), ..Config::default() };
        // Not every machine that builds this has IPv6.
        if host == "::1" && TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let server = serve_with(config, vec![get("/", |_| text("x"))]);
        let mut address = server.local_addr();
        if address.ip().is_unspecified() {
            address.set_ip("127.0.0.1".parse().unwrap());
        }
        assert_eq!(Client::connect(address).get("/").text(), "x", "{host}");
    }
}

#[test]
fn a_bound_server_refuses_connections_until_it_serves() {
    let server = Server::bind(Config::default()).unwrap();
    assert!(TcpStream::connect(server.local_addr()).is_err());
}

#[test]
fn connections_over_the_limit_wait_for_a_place() {
    let _alone = alone();
    let config = Config { max_connections: 2, ..Config::default() };
    let server = serve_with(config, vec![get("/", |_| text("x"))]);
    let mut first = Client::connect(server.local_addr());
    let mut second = Client::connect(server.local_addr());
    assert_eq!((first.get("/").text(), second.get("/").text()), ("x", "x"));
    let mut third = Client::connect(server.local_addr());
    third.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(first.get("/").text(), "x");
    assert_eq!(server.stats().connections, 2);
    drop(first);
    assert_eq!(third.reply().text(), "x");
}

#[test]
fn every_io_thread_serves() {
    let _alone = alone();
    let server = serve_with(
        Config { io_threads: 3, ..Config::default() },
        vec![get("/", |_| text(std::thread::current().name().unwrap()))],
    );
    let mut names = std::collections::BTreeSet::new();
    let began = Instant::now();
    while names.len() < 3 {
        assert!(began.elapsed() < HANG, "only {names:?} serve");
        let mut clients: Vec<_> = (0..30).map(|_| Client::connect(server.local_addr())).collect();
        names.extend(clients.iter_mut().map(|client| client.get("/").text().to_owned()));
    }
    assert!(names.iter().eq(["bimetal-io-0", "bimetal-io-1", "bimetal-io-2"]));
}
