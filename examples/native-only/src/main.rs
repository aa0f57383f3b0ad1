//! Native handlers without Python: the runtime, the host, and the plugin crate of the hybrid example linked in.
//!
//! ```sh
//! cargo run --release -- --port 8001
//! curl localhost:8001/users/7?verbose=true
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use bimetal_host::{Host, Readiness, ServerState};
use bimetal_runtime::http::Method;
use bimetal_runtime::{Config, LaneKind, Route, RouteTable, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

// Without a reference to the crate, the linker would leave its handlers out.
use hot as _;

/// Method, path and handler.
const ROUTES: [(Method, &str, &str); 8] = [
    (Method::GET, "/health", "health"),
    (Method::GET, "/livez", "livez"),
    (Method::GET, "/readyz", "readyz"),
    (Method::GET, "/ping", "hot.ping"),
    (Method::GET, "/users/{user_id}", "hot.get_user"),
    (Method::POST, "/items", "hot.create_item"),
    (Method::GET, "/slow", "hot.slow"),
    (Method::GET, "/missing", "hot.missing"),
];

const USAGE: &str = "usage: native-only [--host HOST] [--port PORT] [--io-threads N]";

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = match config(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("native-only: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("native-only: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGINT or SIGTERM, then finishes what is in flight.
fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    // Before the server starts, so that no signal is missed.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let readiness = Readiness::default();
    let server = Server::bind(config)?;
    let running = server.serve(Arc::new(routes(&readiness)?))?;
    readiness.set(ServerState::Ready);
    println!("listening on http://{}", running.local_addr());

    signals.forever().next();
    readiness.set(ServerState::Draining);
    if !running.stop() {
        return Err("requests were still in flight after the drain timeout, and were closed".into());
    }
    Ok(())
}

/// The route table: every route bound to its handler.
fn routes(readiness: &Readiness) -> Result<RouteTable, Box<dyn Error>> {
    let host = Host::new();
    for plugin in bimetal_builtin::plugins()? {
        host.register_static(plugin)?;
    }
    let mut routes = Vec::new();
    for (method, pattern, name) in ROUTES {
        let handler = host.bind(name, &path_params(pattern), readiness)?.with_route(pattern);
        routes.push(Route {
            pattern: pattern.to_owned(),
            methods: vec![method],
            lane: LaneKind::Native,
            body: handler.body_mode(),
            handler: Arc::new(handler),
        });
    }
    Ok(RouteTable::new(routes, None)?)
}

/// The names in a pattern's braces.
fn path_params(pattern: &str) -> Vec<String> {
    let inner = pattern.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    inner.map(|(name, _)| name.split(':').next().unwrap_or(name).to_owned()).collect()
}

fn config(mut arguments: impl Iterator<Item = String>) -> Result<Config, String> {
    let mut config = Config { port: 8001, ..Config::default() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--host" => config.host = value()?,
            "--port" => config.port = number(&argument, &value()?)?,
            "--io-threads" => config.io_threads = number(&argument, &value()?)?,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(config)
}

fn number<T: std::str::FromStr>(argument: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{argument} wants a number, not {value}"))
}
