//! WebSockets against a client of another make, and against frames made by hand.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{mpsc, Arc};
use std::time::Duration;

use bimetal_runtime::http::websocket::{self, Message};
use bimetal_runtime::http::{spawn_local, HeaderName, HeaderValue, StatusCode};
use bimetal_runtime::{Answer, BodyMode, Config, Response, Route, RouteTable, Running, Server};
use common::{route, serve, Client, HANG};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};
use tungstenite::{Message as Sent, WebSocket};

const MAX: usize = 100_000;

/// Echoes, and reports what it received.
fn echo(reports: mpsc::Sender<Message>) -> Route {
    route(&[], "/ws", BodyMode::Buffered, move |request| {
        let reports = reports.clone();
        // Decides later, as an application does.
        Answer::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            let subprotocol = websocket::subprotocols(&request).pop();
            let headers = vec![(HeaderName::from_static("x-extra"), HeaderValue::from_static("1"))];
            match websocket::accept(request, subprotocol.as_deref(), headers) {
                Err(error) => Response::from(&error),
                Ok((response, sender, mut receiver)) => {
                    spawn_local(async move {
                        while let Some(message) = receiver.next().await {
                            let _ = reports.send(message.clone());
                            match message {
                                Message::Text(text) if text == "close" => {
                                    let _ = sender.send(Message::Close(4001, "bye".to_owned())).await;
                                }
                                Message::Close(..) => {}
                                message => drop(sender.send(message).await),
                            }
                        }
                    });
                    response
                }
            }
        }))
    })
}

/// Without pings, which would keep a test from noticing that nothing else comes.
fn settings() -> websocket::Settings {
    websocket::Settings { max_message_size: MAX, ping_interval: None, ..websocket::Settings::default() }
}

fn serve_echo(websocket: websocket::Settings, reports: mpsc::Sender<Message>) -> Running {
    common::serve_with(Config { websocket, ..Config::default() }, vec![echo(reports)])
}

fn start() -> (Running, mpsc::Receiver<Message>) {
    let (reports, received) = mpsc::channel();
    (serve_echo(settings(), reports), received)
}

fn connect(server: &Running) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = format!("ws://{}/ws", server.local_addr()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat, superchat".parse().unwrap());
    let (socket, response) = tungstenite::client(request, stream).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-protocol"], "superchat");
    assert_eq!(response.headers()["x-extra"], "1");
    socket
}

fn next(received: &mpsc::Receiver<Message>) -> Message {
    received.recv_timeout(HANG).expect("the application is told")
}

fn close_of(socket: &mut WebSocket<TcpStream>) -> (u16, String) {
    loop {
        match socket.read().expect("a close frame comes") {
            Sent::Close(Some(CloseFrame { code, reason })) => return (code.into(), reason.to_string()),
            Sent::Close(None) => return (1005, String::new()),
            _ => {}
        }
    }
}

/// The closing handshake is complete: the server ends the connection.
fn assert_closed(mut socket: WebSocket<TcpStream>) {
    // Less than the server would wait for a client that does not answer its close frame.
    socket.get_mut().set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => break,
            Err(error) => panic!("the connection did not end well: {error}"),
        }
    }
    assert_eq!(socket.get_mut().read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn messages_go_both_ways() {
    let (server, received) = start();
    let mut socket = connect(&server);
    let long = "ä".repeat(MAX / 2);
    for text in ["", "hello", &long] {
        socket.send(Sent::text(text)).unwrap();
        assert_eq!(socket.read().unwrap(), Sent::text(text));
        assert_eq!(next(&received), Message::Text(text.to_owned()));
    }
    socket.send(Sent::binary(vec![0, 255])).unwrap();
    assert_eq!(socket.read().unwrap(), Sent::binary(vec![0, 255]));
    assert_eq!(next(&received), Message::Binary(vec![0, 255].into()));
    for n in 0..500 {
        socket.write(Sent::text(n.to_string())).unwrap();
    }
    socket.flush().unwrap();
    for n in 0..500 {
        assert_eq!(socket.read().unwrap(), Sent::text(n.to_string()));
    }
}

#[test]
fn pings_are_answered_and_fragments_joined() {
    let (server, received) = start();
    let mut socket = connect(&server);
    let fragment = |opcode, last, text: &str| {
        let header =
            FrameHeader { is_final: last, opcode, mask: Some([1, 2, 3, 4]), ..FrameHeader::default() };
        Sent::Frame(Frame::from_payload(header, text.to_owned().into()))
    };
    socket.send(fragment(OpCode::Data(Data::Text), false, "one ")).unwrap();
    socket.send(Sent::Ping("p".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Sent::Pong("p".into()));
    // Each of them, though they come at once.
    let pings: Vec<u8> = (b'0'..=b'9').flat_map(|n| frame(0x89, &[n])).collect();
    socket.get_mut().write_all(&pings).unwrap();
    for n in b'0'..=b'9' {
        assert_eq!(socket.read().unwrap(), Sent::Pong(vec![n].into()));
    }
    socket.send(fragment(OpCode::Data(Data::Continue), false, "two ")).unwrap();
    socket.send(fragment(OpCode::Data(Data::Continue), true, "three")).unwrap();
    assert_eq!(socket.read().unwrap(), Sent::text("one two three"));
    assert_eq!(next(&received), Message::Text("one two three".to_owned()));
}

#[test]
fn the_client_closes() {
    let (server, received) = start();
    for (close, code, reason) in [
        (Some(CloseFrame { code: 4000.into(), reason: "done".into() }), 4000, "done"),
        (Some(CloseFrame { code: 1000.into(), reason: "".into() }), 1000, ""),
        (None, 1005, ""),
    ] {
        let mut socket = connect(&server);
        socket.send(Sent::text("x")).unwrap();
        assert_eq!(socket.read().unwrap(), Sent::text("x"));
        next(&received);
        socket.close(close).unwrap();
        assert_eq!(next(&received), Message::Close(code, reason.to_owned()));
        assert_closed(socket);
    }
    common::until(|| server.stats().connections == 0 && server.stats().in_flight == 0);
}

#[test]
fn the_application_closes() {
    let (server, received) = start();
    let mut socket = connect(&server);
    socket.send(Sent::text("close")).unwrap();
    assert_eq!(close_of(&mut socket), (4001, "bye".to_owned()));
    assert_closed(socket);
    assert_eq!(next(&received), Message::Text("close".to_owned()));
    assert_eq!(next(&received), Message::Close(4001, "bye".to_owned()));
}

#[test]
fn a_connection_that_breaks_is_reported() {
    let (server, received) = start();
    let mut socket = connect(&server);
    socket.send(Sent::text("x")).unwrap();
    assert_eq!(next(&received), Message::Text("x".to_owned()));
    drop(socket);
    assert_eq!(next(&received), Message::Close(1006, String::new()));
    common::until(|| server.stats().connections == 0);
}

/// The bytes of a masked frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | 127];
    frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn what_the_client_gets_wrong_ends_the_connection_with_its_code() {
    // Nothing of the payload has to be there.
    let claim = |first, length: u64| [&[first, 0x80 | 127][..], &length.to_be_bytes()].concat();
    let fragments: Vec<u8> =
        (0..3).flat_map(|n| frame(if n == 0 { 0x02 } else { 0x00 }, &[0; MAX / 2])).collect();
    let cases: [(&str, Vec<u8>, u16); 12] = [
        ("text that is not UTF-8", frame(0x81, &[0xff, 0xfe]), 1007),
        ("too large", frame(0x82, &[0; MAX + 1]), 1009),
        ("too large in sum", fragments, 1009),
        ("too large a claim", claim(0x82, 1 << 40), 1009),
        ("too large a claim in sum", [frame(0x02, &[0; MAX]), claim(0x80, 1)].concat(), 1009),
        ("too large a ping", claim(0x89, 126), 1002),
        ("a first frame that is not UTF-8", frame(0x01, &[b'a', 0xc3, 0x28]), 1007),
        ("a character cut short", [frame(0x01, &[0xc3]), frame(0x00, b"x")].concat(), 1007),
        ("an unknown opcode", frame(0x83, b"x"), 1002),
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("no mask", vec![0x81, 0x01, b'x'], 1002),
    ];
    let (server, received) = start();
    for (what, bytes, code) in cases {
        let mut socket = connect(&server);
        // The server may give up before it has read everything.
        let _ = socket.get_mut().write_all(&bytes);
        assert_eq!(close_of(&mut socket).0, code, "{what}");
        assert!(matches!(next(&received), Message::Close(reported, _) if reported == code), "{what}");
    }
}

#[test]
fn a_stopping_server_tells_both_sides() {
    let (server, received) = start();
    let mut socket = connect(&server);
    socket.send(Sent::text("x")).unwrap();
    assert_eq!(next(&received), Message::Text("x".to_owned()));
    let client = std::thread::spawn(move || {
        assert_eq!(socket.read().unwrap(), Sent::text("x"));
        assert_eq!(close_of(&mut socket), (1012, String::new()));
        assert_closed(socket);
    });
    assert!(server.stop());
    assert_eq!(next(&received), Message::Close(1012, String::new()));
    client.join().unwrap();
}

#[test]
fn an_application_that_drops_both_ends_closes() {
    let server = serve(vec![route(&[], "/ws", BodyMode::Ignored, |request| {
        let (response, _, _) = websocket::accept(request, Some("superchat"), extra()).unwrap();
        Answer::Now(response)
    })]);
    let mut socket = connect(&server);
    assert_eq!(close_of(&mut socket).0, 1000);
    assert_closed(socket);
}

fn extra() -> Vec<(HeaderName, HeaderValue)> {
    vec![(HeaderName::from_static("x-extra"), HeaderValue::from_static("1"))]
}

#[test]
fn messages_may_come_from_another_thread_and_nobody_need_listen() {
    let (results, result) = mpsc::channel();
    let server = serve(vec![route(&[], "/ws", BodyMode::Ignored, move |request| {
        let (response, sender, receiver) = websocket::accept(request, Some("superchat"), extra()).unwrap();
        drop(receiver);
        let results = results.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let outcome = runtime.block_on(async {
                for n in 0..1000 {
                    sender.send(Message::Text(n.to_string())).await?;
                }
                // Until the client has closed.
                loop {
                    sender.send(Message::Text("more".to_owned())).await?;
                }
                #[allow(unreachable_code)]
                Ok::<(), bimetal_runtime::Error>(())
            });
            results.send(outcome.unwrap_err().kind()).unwrap();
        });
        Answer::Now(response)
    })]);
    let mut socket = connect(&server);
    for n in 0..1000 {
        assert_eq!(socket.read().unwrap(), Sent::text(n.to_string()));
    }
    socket.send(Sent::Ping("still there".into())).unwrap();
    while socket.read().unwrap() != Sent::Pong("still there".into()) {}
    socket.close(None).unwrap();
    assert_eq!(close_of(&mut socket).0, 1005);
    assert_eq!(result.recv_timeout(HANG).unwrap(), bimetal_runtime::ErrorKind::Disconnected);
    common::until(|| server.stats().connections == 0);
}

#[test]
fn a_handshake_can_be_denied_and_a_bad_one_is() {
    let deny = route(&[], "", BodyMode::Stream, |request| {
        assert!(request.is_websocket());
        Answer::Later(Box::pin(async { Response::detail(StatusCode::FORBIDDEN, "no") }))
    });
    let table = RouteTable::new(vec![], Some(deny)).unwrap();
    let server = Server::bind(Config::default()).unwrap().serve(Arc::new(table)).unwrap();
    let handshake = |key: &str, version: &str| {
        format!(
            "GET /ws HTTP/1.1\r\nhost: test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: {version}\r\nsec-websocket-key: {key}\r\n\r\n"
        )
    };
    let good = "dGhlIHNhbXBsZSBub25jZQ==";
    let mut client = Client::connect(server.local_addr());
    client.send(handshake(good, "13"));
    let denied = client.reply();
    assert_eq!((denied.status, denied.text()), (403, "{\"detail\":\"no\"}"));
    client.assert_ended();

    let (server, _received) = start();
    for (key, version) in [("short", "13"), (good, "8")] {
        let mut client = Client::connect(server.local_addr());
        client.send(handshake(key, version));
        let refused = client.reply();
        assert_eq!(refused.status, 400);
        assert!(refused.text().starts_with("{\"detail\":\"WebSocket handshake: "), "{}", refused.text());
    }
    let mut client = Client::connect(server.local_addr());
    client.send(handshake(good, "13"));
    let accepted = client.head();
    // The example of RFC 6455.
    assert_eq!(accepted.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((accepted.header("content-length"), accepted.header("transfer-encoding")), (None, None));
}

/// A connection after its handshake, of which the test sees every byte.
fn raw(server: &Running, offer: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nhost: test\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: {offer}\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// The next frame: its first byte, its payload.
fn received(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1]);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

fn closed_with(stream: &mut TcpStream) -> u16 {
    let (first, payload) = received(stream);
    assert_eq!(first, 0x88);
    u16::from_be_bytes([payload[0], payload[1]])
}

#[test]
fn compressed_messages_go_both_ways() {
    let (server, _received) = start();
    let mut stream = raw(&server, "permessage-deflate");
    let text = "a message that is worth it, a message that is worth it";
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    let mut decompress = flate2::Decompress::new(false);
    for round in 0..3 {
        let mut data = Vec::with_capacity(1000);
        compress.compress_vec(text.as_bytes(), &mut data, flate2::FlushCompress::Sync).unwrap();
        data.truncate(data.len() - 4);
        // In two parts, with a ping in between that is as it always is.
        stream.write_all(&frame(0x41, &data[..2])).unwrap();
        stream.write_all(&frame(0x89, b"!")).unwrap();
        assert_eq!(received(&mut stream), (0x8a, b"!".to_vec()));
        stream.write_all(&frame(0x80, &data[2..])).unwrap();
        let (first, answer) = received(&mut stream);
        assert_eq!(first, 0xc1);
        // What was said before is referred to.
        assert!(answer.len() < if round == 0 { text.len() } else { 10 }, "{} bytes", answer.len());
        let mut plain = Vec::with_capacity(1000);
        decompress
            .decompress_vec(
                &[&answer[..], &[0, 0, 0xff, 0xff]].concat(),
                &mut plain,
                flate2::FlushDecompress::Sync,
            )
            .unwrap();
        assert_eq!(plain, text.as_bytes());
        // One that compression makes no smaller, and one that is not compressed.
        for plain in ["short", "0123456789abcdefghijklmnopqrstuvwxyz"] {
            stream.write_all(&frame(0x81, plain.as_bytes())).unwrap();
            assert_eq!(received(&mut stream), (0x81, plain.as_bytes().to_vec()));
        }
    }
}

#[test]
fn what_a_client_gets_wrong_in_compressing_ends_the_connection() {
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    let mut bomb = Vec::with_capacity(100_000);
    compress.compress_vec(&vec![0; 50_000_000], &mut bomb, flate2::FlushCompress::Sync).unwrap();
    assert!(bomb.len() < MAX);
    // "Hello" in Latin-1, with an umlaut.
    let latin = [0x00, 0x05, 0x00, 0xfa, 0xff, b'H', 0xe4, b'l', b'l', b'o', 0x00];
    let (server, reports) = start();
    for (what, bytes, code) in [
        ("a ping that is compressed", frame(0xc9, b"x"), 1002),
        ("a continuation that says it is compressed", [frame(0x41, b"\0"), frame(0xc0, b"")].concat(), 1002),
        ("another reserved bit", frame(0xa1, b"x"), 1002),
        ("no data of zlib's", frame(0xc1, &[0xff; 9]), 1002),
        ("too large when inflated", frame(0xc2, &bomb), 1009),
        ("text that is not UTF-8", frame(0xc1, &latin), 1007),
    ] {
        let mut stream = raw(&server, "permessage-deflate");
        stream.write_all(&bytes).unwrap();
        assert_eq!(closed_with(&mut stream), code, "{what}");
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "{what}");
        assert!(matches!(next(&reports), Message::Close(reported, _) if reported == code), "{what}");
    }
}

fn pinged(timeout: Option<Duration>) -> websocket::Settings {
    websocket::Settings {
        ping_interval: Some(Duration::from_millis(20)),
        ping_timeout: timeout,
        ..settings()
    }
}

#[test]
fn a_client_that_does_not_answer_pings_is_given_up() {
    let (reports, told) = mpsc::channel();
    let server = serve_echo(pinged(Some(Duration::from_millis(50))), reports);
    let mut stream = raw(&server, "x");
    assert_eq!(received(&mut stream), (0x89, Vec::new()));
    assert_eq!(closed_with(&mut stream), 1011);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(next(&told), Message::Close(1006, "keepalive ping timeout".to_owned()));
    common::until(|| server.stats().connections == 0);
}

#[test]
fn without_a_deadline_pings_need_no_answer() {
    let (reports, _told) = mpsc::channel();
    let server = serve_echo(pinged(None), reports);
    let mut stream = raw(&server, "x");
    for _ in 0..10 {
        assert_eq!(received(&mut stream), (0x89, Vec::new()));
    }
}

#[test]
fn a_client_whose_answers_nobody_reads_is_kept() {
    let (ends, ended) = mpsc::channel();
    let (wake, woken) = tokio::sync::watch::channel(false);
    let websocket = pinged(Some(Duration::from_millis(20)));
    let route = route(&[], "/ws", BodyMode::Ignored, move |request| {
        let (response, sender, mut receiver) = websocket::accept(request, None, Vec::new()).unwrap();
        let (mut woken, ends) = (woken.clone(), ends.clone());
        spawn_local(async move {
            let _ = woken.wait_for(|woken| *woken).await;
            let _ = ends.send(receiver.next().await);
            drop(sender);
        });
        Answer::Now(response)
    });
    let server = common::serve_with(Config { websocket, ..Config::default() }, vec![route]);
    let mut stream = raw(&server, "x");
    for _ in 0..10 {
        assert_eq!(received(&mut stream), (0x89, Vec::new()));
    }
    stream.write_all(&frame(0x81, b"here")).unwrap();
    wake.send(true).unwrap();
    assert_eq!(ended.recv_timeout(HANG).unwrap(), Some(Message::Text("here".to_owned())));
}
