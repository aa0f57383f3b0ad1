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
            match websocket::accept(request, subprotocol.as_deref(), headers, MAX) {
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

fn start() -> (Running, mpsc::Receiver<Message>) {
    let (reports, received) = mpsc::channel();
    (serve(vec![echo(reports)]), received)
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
    let mut too_long_a_claim = vec![0x82, 0x80 | 127];
    too_long_a_claim.extend_from_slice(&(1u64 << 40).to_be_bytes());
    too_long_a_claim.extend_from_slice(&[0; 4]);
    too_long_a_claim.extend_from_slice(&[0; MAX + 100]);
    let fragments: Vec<u8> =
        (0..3).flat_map(|n| frame(if n == 0 { 0x02 } else { 0x00 }, &[0; MAX / 2])).collect();
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("text that is not UTF-8", frame(0x81, &[0xff, 0xfe]), 1007),
        ("too large", frame(0x82, &[0; MAX + 1]), 1009),
        ("too large in sum", fragments, 1009),
        ("too large a claim", too_long_a_claim, 1009),
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
        let (response, _, _) = websocket::accept(request, Some("superchat"), extra(), MAX).unwrap();
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
        let (response, sender, receiver) =
            websocket::accept(request, Some("superchat"), extra(), MAX).unwrap();
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
