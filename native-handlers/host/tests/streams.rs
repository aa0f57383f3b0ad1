//! Responses that come in chunks: what arrives, what is asked for and when, and what ends them.

mod support;

use std::fs;
use std::path::Path;
use std::task::{Context, Waker};
use std::time::Duration;

use bimetal_host::{Host, HostStats, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::{Answer, Body, Handler, Request};
use bytes::Bytes;
use support::{compile, eventually, folder, Client, Served};

/// A host with a copy of the probe of its own, and so a state of its own: bytes behind the end of an ELF file mean nothing.
fn probe(test: &str) -> Host {
    let mut bytes = fs::read(support::probe()).unwrap();
    bytes.extend_from_slice(test.as_bytes());
    let library = folder(&format!("probe_{test}")).join("libprobe.so");
    fs::write(&library, bytes).unwrap();
    let host = Host::new();
    host.load(&library, None).unwrap();
    host
}

/// The probe's streams, and what the tests steer them with.
fn serve(host: &Host) -> Served {
    Served::start(
        host,
        &[
            ("/feed", "probe.feed"),
            ("/blocking", "probe.feed_blocking"),
            ("/later", "probe.feed_later"),
            ("/tell/{text}", "probe.tell"),
            ("/sizes/{sizes}", "probe.sizes"),
            ("/spiteful", "probe.spiteful"),
            ("/bodiless", "probe.bodiless"),
            ("/counts", "probe.counts"),
        ],
    )
}

/// Begins a stream; its head has come.
fn open(server: &Served, target: &str) -> Client {
    let mut client = server.client();
    client.send("GET", target, &[], b"");
    let head = client.receive_head();
    assert!(head.status < 300, "{head:?}");
    assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (Some("chunked"), None));
    client
}

#[test]
fn chunks_arrive_as_they_are_made() {
    let host = probe("made");
    let server = serve(&host);
    for target in ["/feed", "/blocking", "/later"] {
        let mut client = open(&server, target);
        // Each is read before the next is made.
        for text in ["one", "two"] {
            assert_eq!(server.get(&format!("/tell/{text}")).text(), "1");
            assert_eq!(client.chunk().unwrap().as_deref(), Some(text), "{target}");
        }
        server.get("/tell/end");
        assert_eq!(client.chunk().unwrap(), None, "{target}");
        // The connection goes on.
        assert_eq!(client.get("/counts").status, 200);
    }
    assert_eq!(server.get("/counts").text(), "3 3");
    assert_eq!(host.stats(), HostStats::default());
    assert!(server.stop());
}

#[test]
fn status_header_fields_and_content_type_are_those_of_the_handler() {
    let host = probe("handler");
    let server = serve(&host);
    let mut client = server.client();
    client.send("GET", "/feed", &[], b"");
    let head = client.receive_head();
    assert_eq!(
        (head.status, head.header("content-type"), head.header("x-feed")),
        (203, Some("text/x-feed"), Some("sync"))
    );
    let mut client = server.client();
    client.send("GET", "/later", &[], b"");
    let head = client.receive_head();
    assert_eq!((head.status, head.header("content-type")), (200, None));
}

#[test]
fn chunks_of_every_size_arrive_whole() {
    let host = probe("whole");
    let server = serve(&host);
    let sizes = [0, 1, 1023, 0, 1024, 1025, 70_000, 3_000_000];
    let mut client = open(&server, &format!("/sizes/{}", sizes.map(|size| size.to_string()).join(",")));
    let mut expected = String::new();
    for (index, size) in sizes.iter().enumerate() {
        expected += &char::from(b'a' + (sizes.len() - index) as u8).to_string().repeat(*size);
    }
    assert!(client.chunks().unwrap() == expected);
    // An error instead of a stream is a response like any other.
    assert_eq!(client.get("/sizes/x").status, 400);
}

#[test]
fn a_client_that_goes_away_ends_the_stream() {
    let host = probe("stream");
    let server = serve(&host);
    for (index, target) in ["/feed", "/blocking", "/later"].into_iter().enumerate() {
        let mut client = open(&server, target);
        server.get("/tell/one");
        assert_eq!(client.chunk().unwrap().as_deref(), Some("one"));
        assert_eq!(server.get("/counts").text(), format!("{} {index}", index + 1));
        drop(client);
        // Nothing is written meanwhile: the close alone is noticed.
        let ended = format!("{0} {0}", index + 1);
        eventually("the stream's end", || (server.get("/counts").text() == ended).then_some(()));
    }
    assert_eq!(host.stats(), HostStats::default());
}

#[test]
fn an_error_or_a_panic_cuts_the_connection() {
    let host = probe("connection");
    let server = serve(&host);
    for target in ["/feed", "/blocking", "/later"] {
        for fault in ["error", "panic"] {
            let mut client = open(&server, target);
            server.get("/tell/one");
            server.get(&format!("/tell/{fault}"));
            // What came before arrives; then the body ends without its last chunk.
            assert_eq!(client.chunk().unwrap().as_deref(), Some("one"));
            assert!(client.chunk().is_err(), "{target} {fault}");
        }
    }
    eventually("every stream's end", || (server.get("/counts").text() == "6 6").then_some(()));
    assert_eq!(host.stats(), HostStats { panics: 3, failed_streams: 3, ..HostStats::default() });
}

#[test]
fn a_stream_that_panics_when_it_is_dropped_has_been_sent() {
    let host = probe("sent");
    let server = serve(&host);
    let mut client = open(&server, "/spiteful");
    assert_eq!(client.chunks().unwrap(), "");
    assert_eq!(client.get("/counts").status, 200);
}

#[test]
fn a_head_request_asks_for_nothing() {
    let host = probe("nothing");
    let server = serve(&host);
    let mut client = server.client();
    for (index, target) in ["/feed", "/blocking", "/later"].into_iter().enumerate() {
        client.send("HEAD", target, &[], b"");
        let head = client.receive_head();
        assert!(head.status < 300, "{head:?}");
        assert_eq!(head.header("content-length"), None, "{target}");
        // The stream never ends by itself: it was dropped.
        assert_eq!(client.get("/counts").text(), format!("{0} {0}", index + 1));
    }
    // So it is where the status allows no body.
    client.send("GET", "/bodiless", &[], b"");
    assert_eq!(client.receive_head().status, 204);
    assert_eq!(client.get("/counts").text(), "4 4");
}

#[test]
fn http_1_0_gets_the_body_up_to_the_close() {
    let host = probe("close");
    let server = serve(&host);
    let mut client = server.client();
    client.send_raw(b"GET /sizes/3,0,2 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    let head = client.receive_head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    assert_eq!(client.rest(), "dddbb");
}

#[test]
fn the_deadline_is_that_of_the_head() {
    let host = probe("head");
    let routes = [
        ("/later", "probe.feed_later"),
        ("/blocking", "probe.feed_blocking"),
        ("/forever", "probe.forever"),
        ("/tell/{text}", "probe.tell"),
    ];
    let server = Served::with_deadline(&host, &routes, Duration::from_secs(6));
    let mut clients = ["/later", "/blocking"].map(|target| open(&server, target));
    // Begun later, and over its deadline: so would the streams be.
    assert_eq!(server.get("/forever").status, 504);
    assert_eq!(server.get("/tell/late").text(), "2");
    server.get("/tell/end");
    for client in &mut clients {
        assert_eq!(client.chunks().unwrap(), "late");
    }
}

#[test]
fn a_chunk_is_asked_for_only_when_one_is_wanted() {
    let host = probe("wanted");
    let bind = |name: &str, params: &[String]| host.bind(name, params, &Readiness::default()).unwrap();
    let get = |name: &str| {
        let request = Request::synthetic(Method::GET, "/", &[], Bytes::new());
        let Answer::Now(response) = bind(name, &[]).call(request) else { panic!("{name} answers at once") };
        response.body
    };
    let polled = || {
        let Body::Full(count) = get("probe.polled") else { panic!("there is a count") };
        String::from_utf8(count.to_vec()).unwrap().parse::<usize>().unwrap()
    };
    let Body::Stream(mut stream) = get("probe.feed") else { panic!("there is a stream") };
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(polled(), 0);
    for count in 1..4 {
        assert!(stream.as_mut().poll_next(&mut cx).is_pending());
        assert_eq!(polled(), count);
    }
}

#[test]
fn a_stream_written_in_c_is_sent_and_its_faults_are_caught() {
    let library = folder("cstream").join("libcstream.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stream.c");
    compile(&source, &library, &[]);
    let host = Host::new();
    host.load(&library, None).unwrap();
    let server = Served::start(&host, &[("/count/{rule}", "cstream.count")]);
    assert_eq!(open(&server, "/count/s").chunks().unwrap(), "static static static ");
    let expected: String =
        [("1", 1), ("2", 10_001), ("3", 20_001)].map(|(digit, size)| digit.repeat(size)).concat();
    assert!(open(&server, "/count/o").chunks().unwrap() == expected);
    let mut stats = HostStats::default();
    for rule in ["a", "b", "c", "d", "e"] {
        assert!(open(&server, &format!("/count/{rule}")).chunks().is_err(), "{rule}");
        match rule {
            "a" | "b" => stats.bad_responses += 1,
            "c" | "d" => stats.failed_streams += 1,
            _ => stats.panics += 1,
        }
        assert_eq!(host.stats(), stats, "{rule}");
    }
}
