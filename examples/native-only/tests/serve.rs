//! The program as its user runs it: start, requests, SIGTERM.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// The program, killed if a test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> (Program, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_native-only"))
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address =
        line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (Program(child), address)
}

fn request(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    format!("{status} {}", answer.split_once("\r\n\r\n").unwrap().1)
}

#[test]
fn every_route_answers_and_sigterm_drains() {
    let (mut program, address) = start();
    for (head, body, expected) in [
        ("GET /health", "", r#"200 {"status":"ok"}"#),
        ("GET /livez", "", r#"200 {"status":"ok"}"#),
        ("GET /readyz", "", r#"200 {"status":"ready"}"#),
        ("GET /ping", "", "200 pong"),
        ("GET /users/7?verbose=true", "", r#"200 {"id":7,"name":"user7","email":"user7@example.com"}"#),
        ("POST /items", r#"{"name":"a","price":1}"#, r#"200 {"name":"a","price":1.0,"tags":[]}"#),
        ("GET /slow", "", r#"200 {"waited_ms":5}"#),
        ("GET /missing", "", r#"404 {"detail":"There is no such thing"}"#),
    ] {
        assert_eq!(request(&address, head, body), expected, "{head}");
    }
    assert!(request(&address, "GET /users/x", "").starts_with(r#"422 {"detail":[{"type":"int_parsing""#));

    assert!(Command::new("kill").arg(program.0.id().to_string()).status().unwrap().success());
    assert!(program.0.wait().unwrap().success());
}

#[test]
fn wrong_usage_ends_with_2_and_a_port_in_use_with_1() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_native-only")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&["--prot", "1"]);
    assert_eq!(code, Some(2));
    assert!(text.starts_with("native-only: unknown argument --prot\nusage: "), "{text}");
    let (code, text) = run(&["--port", "many"]);
    assert_eq!(code, Some(2));
    assert!(text.starts_with("native-only: --port wants a number, not many\n"), "{text}");

    let (_program, address) = start();
    let port = address.rsplit(':').next().unwrap();
    let (code, text) = run(&["--port", port]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&address) && text.lines().count() == 1, "{text}");
}
