//! What the host's tests share: built plugins, a server, a client.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bimetal_host::{Change, Error, Host, NativeHandler, Readiness, ServerState};
use bimetal_runtime::http::Method;
use bimetal_runtime::{Config, LaneKind, Route, RouteTable, Running, Server, ServerHandle};

/// Beyond this a test hangs.
pub const HANG: Duration = Duration::from_secs(30);

/// A folder of this test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Builds a plugin crate with cargo, as its author would, and gives the library.
///
/// Their folder is that of the Makefile's plugins, so that what both build is built once. It is not the one of
/// `examples/native-only`, which builds the same crate without its export.
pub fn cargo_plugin(manifest: &str, library: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest).canonicalize().unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("plugins");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug").join(library)
}

/// The plugin crate of the hybrid example.
pub fn hot() -> PathBuf {
    cargo_plugin("../../examples/hybrid/hot/Cargo.toml", "libhot.so")
}

/// The plugin crate of these tests.
pub fn probe() -> PathBuf {
    cargo_plugin("tests/fixtures/probe/Cargo.toml", "libprobe.so")
}

/// Compiles `plugin.c` with these macros.
pub fn c_plugin(name: &str, macros: &[&str]) -> PathBuf {
    let library = folder(name).join(format!("lib{name}.so"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    compile(&tests.join("plugin.c"), &library, macros);
    library
}

/// The plugin in C that uses the host's services.
pub fn c_services() -> PathBuf {
    let library = folder("cserv").join("libcserv.so");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    compile(&tests.join("services.c"), &library, &[]);
    library
}

/// Compiles a C source into a shared library.
pub fn compile(source: &Path, library: &Path, macros: &[&str]) {
    compile_against(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi"), source, library, macros);
}

/// The same, against the `bimetal.h` of this folder.
pub fn compile_against(include: &Path, source: &Path, library: &Path, macros: &[&str]) {
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include)
        .args(macros.iter().map(|name| format!("-D{name}")))
        .arg("-o")
        .args([library, source])
        .output()
        .expect("the C compiler that links Rust programs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// A server with one I/O worker and native routes.
pub struct Served {
    pub host: Host,
    /// Pattern and handler of each route.
    routes: Vec<(String, String)>,
    pub readiness: Readiness,
    handle: ServerHandle,
    running: Option<Running>,
}

impl Served {
    /// Serves each handler at its path.
    pub fn start(host: &Host, routes: &[(&str, &str)]) -> Served {
        Served::with(host, routes, true, |handler| handler)
    }

    /// The same, for handlers that have to answer within `deadline`.
    pub fn with_deadline(host: &Host, routes: &[(&str, &str)], deadline: Duration) -> Served {
        Served::with(host, routes, true, |handler| handler.with_deadline(deadline))
    }

    /// The same, for routes with this status code.
    pub fn with_status(host: &Host, routes: &[(&str, &str)], status: u16) -> Served {
        Served::with(host, routes, true, |handler| handler.with_status(status))
    }

    /// The same as [`Served::start`], for handlers that do not learn which server they belong to.
    pub fn without_handle(host: &Host, routes: &[(&str, &str)]) -> Served {
        Served::with(host, routes, false, |handler| handler)
    }

    fn with(
        host: &Host,
        routes: &[(&str, &str)],
        with_server: bool,
        complete: impl Fn(NativeHandler) -> NativeHandler,
    ) -> Served {
        let readiness = Readiness::default();
        let server = Server::bind(Config { drain_timeout: HANG, ..Config::default() }).unwrap();
        let names =
            routes.iter().map(|(pattern, name)| ((*pattern).to_owned(), (*name).to_owned())).collect();
        let routes = routes
            .iter()
            .map(|(pattern, name)| {
                let handler = host.bind(name, &params(pattern), &readiness).unwrap();
                let mut handler = complete(handler.with_route(*pattern));
                if with_server {
                    handler = handler.with_server(server.handle());
                }
                Route {
                    pattern: (*pattern).to_owned(),
                    methods: vec![Method::GET, Method::POST, Method::HEAD],
                    lane: LaneKind::Native,
                    body: handler.body_mode(),
                    handler: Arc::new(handler),
                }
            })
            .collect();
        let server_handle = server.handle();
        let running = server.serve(Arc::new(RouteTable::new(routes, None).unwrap())).unwrap();
        readiness.set(ServerState::Ready);
        Served { host: host.clone(), routes: names, readiness, handle: server_handle, running: Some(running) }
    }

    /// Takes in what has changed of the host's libraries.
    pub fn reload(&mut self) -> Result<Vec<Change>, Error> {
        let reload = self.host.prepare_reload()?;
        let handlers = self
            .routes
            .iter()
            .map(|(pattern, name)| reload.bind(name, &params(pattern), &self.readiness))
            .collect::<Result<Vec<_>, Error>>()?;
        let running = self.running.as_ref().unwrap();
        let table = running.table().with_handlers(|place, _| {
            let handler = handlers[place].clone().with_server(self.handle.clone());
            Some((handler.body_mode(), Arc::new(handler) as _))
        });
        drop(handlers);
        running.swap(Arc::new(table));
        let changes = reload.changes().to_vec();
        reload.commit();
        Ok(changes)
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().local_addr()
    }

    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// One request on a connection of its own.
    pub fn get(&self, target: &str) -> Reply {
        self.client().get(target)
    }

    /// Stops it; whether everything in flight finished.
    pub fn stop(mut self) -> bool {
        self.running.take().unwrap().stop()
    }
}

/// The names in a pattern's braces.
fn params(pattern: &str) -> Vec<String> {
    pattern
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.split(':').next().unwrap().to_owned())
        .collect()
}

/// A response as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A connection that is kept open.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    pub fn get(&mut self, target: &str) -> Reply {
        self.send("GET", target, &[], b"");
        self.receive()
    }

    pub fn post_json(&mut self, target: &str, body: &str) -> Reply {
        self.send("POST", target, &["content-type: application/json"], body.as_bytes());
        self.receive()
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
    }

    pub fn receive(&mut self) -> Reply {
        let mut reply = self.receive_head();
        let length = reply.header("content-length").map_or(0, |value| value.parse().unwrap());
        reply.body = vec![0; length];
        self.stream.read_exact(&mut reply.body).unwrap();
        reply
    }

    /// The next chunk of a chunked body, `None` for its end; an error where the connection ends before.
    pub fn chunk(&mut self) -> io::Result<Option<String>> {
        let mut size = String::new();
        if self.stream.read_line(&mut size)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk)?;
        assert_eq!(chunk.split_off(size), b"\r\n");
        Ok((size > 0).then(|| String::from_utf8(chunk).unwrap()))
    }

    /// All of a chunked body.
    pub fn chunks(&mut self) -> io::Result<String> {
        let mut body = String::new();
        while let Some(chunk) = self.chunk()? {
            body += &chunk;
        }
        Ok(body)
    }

    /// Everything until the server closes the connection.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// A response without its body.
    pub fn receive_head(&mut self) -> Reply {
        let mut line = || {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("the server answers");
            line.trim_end().to_owned()
        };
        let status_line = line();
        let status = status_line.split(' ').nth(1).unwrap_or_else(|| panic!("status line {status_line:?}"));
        let status = status.parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let field = line();
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Reply { status, headers, body: Vec::new() }
    }
}

/// Repeats `probe` until it gives something.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < HANG, "{what} never happened");
        std::thread::yield_now();
    }
}
