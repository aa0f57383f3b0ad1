//! The access log: one event for each request.

mod common;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{Answer, BodyMode, Config, Response};
use common::{get, route, serve, serve_with, Client, Log};

#[test]
fn every_request_is_logged_when_asked_for() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("the only subscriber");
    let access = || -> Vec<String> {
        log.lines().into_iter().filter(|line| line.starts_with("bimetal::access ")).collect()
    };
    let routes = || {
        vec![
            get("/users/{id}", |_| Response::new(StatusCode::NO_CONTENT)),
            route(&[Method::GET], "/hang", BodyMode::Ignored, |_| {
                Answer::Later(Box::pin(std::future::pending()))
            }),
        ]
    };
    let quiet = serve(routes());
    assert_eq!(Client::connect(quiet.local_addr()).get("/users/1").status, 204);
    assert!(quiet.stop());
    assert_eq!(access(), [""; 0]);

    let server = serve_with(Config { access_log: true, ..Config::default() }, routes());
    let mut client = Client::connect(server.local_addr());
    let port = client.stream.local_addr().unwrap().port();
    client.get("/users/%31?secret=1");
    client.get("/nowhere");
    client.send("GET /hang HTTP/1.1\r\nhost: test\r\n\r\n");
    common::until(|| server.stats().in_flight == 1);
    drop(client);
    common::until(|| server.stats().in_flight == 0);
    let lines = access();
    let expected = [
        ["method=GET", "path=/users/1 ", "status=204", "lane=\"native\""],
        ["method=GET", "path=/nowhere ", "status=404", "lane=\"none\""],
        ["method=GET", "path=/hang ", "status=499", "lane=\"native\""],
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, parts) in lines.iter().zip(expected) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(line.contains("duration=") && line.contains(&format!("peer=127.0.0.1:{port}")), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}
