//! Servers come and go without a trace. Alone in its process: threads and descriptors are counted.

mod common;

use bimetal_runtime::http::StatusCode;
use bimetal_runtime::{Config, Response};
use common::{get, serve_with, Client};

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).expect("proc is mounted").count()
}

#[test]
fn two_hundred_servers_leave_no_thread_and_no_descriptor() {
    let cycle = |graceful: bool| {
        let routes = vec![get("/", |_| Response::new(StatusCode::OK).with_body("x"))];
        let server = serve_with(Config { io_threads: 2, ..Config::default() }, routes);
        let mut client = Client::connect(server.local_addr());
        assert_eq!(client.get("/").text(), "x");
        if graceful {
            assert!(server.stop());
        } else {
            drop(server);
        }
        client.assert_ended();
    };
    cycle(true);
    let (threads, descriptors) = (count("task"), count("fd"));
    for round in 0..200 {
        cycle(round % 4 != 0);
        assert_eq!(count("fd"), descriptors, "after {round} servers");
        // The kernel may list a thread a little longer than joining it takes.
        common::until(|| count("task") <= threads);
    }
}
