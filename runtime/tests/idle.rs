//! A connection that is idle gives its buffers back, and goes on as if it had not. What the process has allocated shows when.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bimetal_runtime::http::{HeaderName, HeaderValue, StatusCode};
use bimetal_runtime::{Config, Response, Running};
use common::{get, serve_with, until, Client};

static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Ordering::Relaxed);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: usize = 200;
/// What an idle connection may have; with its buffers it is above 16 KiB.
const EACH: usize = 6 * 1024;

/// Looks at its connections often, so that they rest soon.
fn watchful() -> Config {
    Config { body_timeout: Duration::from_millis(200), ..Config::default() }
}

fn server(config: Config) -> Running {
    let close = (HeaderName::from_static("connection"), HeaderValue::from_static("close"));
    let last = move |_| Response::new(StatusCode::OK).with_header(close.0.clone(), close.1.clone());
    serve_with(config, vec![get("/", |_| Response::new(StatusCode::OK).with_body("x")), get("/last", last)])
}

/// Connections that have been used and are idle now, and have given back what they do not need.
fn resting(address: SocketAddr) -> Vec<Client> {
    let before = LIVE.load(Ordering::Relaxed);
    let client = |_| {
        let mut client = Client::connect(address);
        assert_eq!(client.get("/").text(), "x");
        client
    };
    let clients = (0..COUNT).map(client).collect();
    until(|| LIVE.load(Ordering::Relaxed) <= before + COUNT * EACH);
    clients
}

#[test]
fn an_idle_connection_has_no_buffers_and_goes_on() {
    let server = server(watchful());
    let mut clients = resting(server.local_addr());
    for client in &mut clients {
        // Pipelined ones, too.
        client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\nGET / HT");
        assert_eq!((client.reply().text(), client.reply().text()), ("x", "x"));
        client.send("TP/1.1\r\nhost: t\r\n\r\n");
        assert_eq!(client.reply().text(), "x");
    }
    drop(clients);
    until(|| server.stats().connections == 0);
    let mut clients = resting(server.local_addr());
    for client in &mut clients[..10] {
        client.send("nonsense\r\n\r\n");
        assert_eq!(client.reply().status, 400);
    }
    for client in &mut clients[10..20] {
        assert_eq!(client.get("/last").status, 200);
        client.assert_ended();
    }
    assert!(server.stop(), "none of them is waited for");
    clients[20..].iter_mut().for_each(Client::assert_ended);
}

#[test]
fn its_next_head_has_a_deadline() {
    let server = server(Config { head_timeout: Duration::from_secs(2), ..watchful() });
    let mut clients = resting(server.local_addr());
    for client in &mut clients {
        client.send("GET / HT");
    }
    for client in &mut clients {
        assert_eq!(client.reply().status, 408);
    }
}

#[test]
fn it_ends_after_the_time_of_keep_alive() {
    let server = server(Config { keep_alive: Duration::from_secs(1), ..watchful() });
    let mut clients = resting(server.local_addr());
    clients.iter_mut().for_each(Client::assert_ended);
    until(|| server.stats().connections == 0);
}
