//! What the benchmarks and the count of instructions share: native handlers from every source, requests for them, and
//! tables of many routes.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bimetal_host::{Host, Readiness};
use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{Answer, BodyMode, Handler, LaneKind, Request, Response, Route, RouteTable};
use bytes::Bytes;

/// One way to a native handler.
pub struct Dispatch {
    /// What the figures call it.
    pub name: &'static str,
    /// Whether the handler is that of [`loaded`]; else of [`linked`].
    pub loaded: bool,
    /// Of the route.
    pub pattern: &'static str,
    /// The registered name.
    pub handler: &'static str,
    /// What is requested.
    pub path: &'static str,
}

/// Built in, linked in, and from a plugin.
pub const DISPATCHES: [Dispatch; 5] = [
    Dispatch {
        name: "health, built in",
        loaded: false,
        pattern: "/health",
        handler: "health",
        path: "/health",
    },
    Dispatch {
        name: "health, from a plugin",
        loaded: true,
        pattern: "/health",
        handler: "micro.health",
        path: "/health",
    },
    Dispatch {
        name: "small JSON, from a plugin",
        loaded: true,
        pattern: "/status",
        handler: "micro.status",
        path: "/status",
    },
    Dispatch {
        name: "typed path parameter, from a plugin",
        loaded: true,
        pattern: "/users/{id}",
        handler: "micro.user",
        path: "/users/4711",
    },
    Dispatch {
        name: "async, ready at the first poll, from a plugin",
        loaded: true,
        pattern: "/ready",
        handler: "micro.ready",
        path: "/ready",
    },
];

/// Builds the handlers as a plugin, in release mode, and gives the library.
///
/// # Panics
///
/// If they do not build.
pub fn plugin() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("../../target/plugins");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(root.join("handlers/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the plugin of the benchmarks does not build");
    target.join("release/libhandlers.so")
}

/// A host with the built-in handlers, which are linked in like any others.
///
/// # Panics
///
/// If one of them cannot be registered.
pub fn linked() -> Host {
    let host = Host::new();
    for plugin in bimetal_builtin::plugins().expect("the built-in handlers are valid") {
        host.register_static(plugin).expect("the built-in handlers can be registered");
    }
    host
}

/// A host with the handlers of [`plugin`].
///
/// # Panics
///
/// If the library cannot be loaded.
pub fn loaded() -> Host {
    let host = Host::new();
    host.load(&plugin(), None).expect("the plugin of the benchmarks loads");
    host
}

/// A table with one native route.
///
/// # Panics
///
/// If there is no such handler, or it wants other path parameters.
pub fn table(host: &Host, pattern: &str, handler: &str) -> RouteTable {
    let params: Vec<String> = pattern
        .split('/')
        .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
        .collect();
    let handler = host.bind(handler, &params, &Readiness::default()).expect("the handler is there");
    let route = Route {
        pattern: pattern.to_owned(),
        methods: vec![Method::GET],
        lane: LaneKind::Native,
        body: handler.body_mode(),
        handler: Arc::new(handler),
    };
    RouteTable::new(vec![route], None).expect("the pattern is valid")
}

/// A request as the server has it once it has found the route: with its path parameters.
///
/// # Panics
///
/// If no route of `table` matches `path`.
pub fn routed(table: &RouteTable, path: &str) -> Request {
    let mut request = Request::synthetic(Method::GET, path, &[], Bytes::new());
    let Lookup::Route(_, params) = table.lookup(request.method(), path) else {
        panic!("no route matches {path}");
    };
    request.set_params(params);
    request
}

/// The response of the first route of `table`, whose handler waits for nothing.
///
/// # Panics
///
/// If it does.
pub fn answer(table: &RouteTable, request: Request) -> Response {
    match table.routes()[0].handler.call(request) {
        Answer::Now(response) => response,
        Answer::Later(future) => first_poll(future),
    }
}

fn first_poll(mut future: Pin<Box<dyn Future<Output = Response>>>) -> Response {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response,
        Poll::Pending => panic!("the handler waits for nothing"),
    }
}

/// Patterns of `count` routes, a third of them without a parameter, a third with one, a third with two: what an API
/// looks like.
pub fn patterns(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| match number % 3 {
            0 => format!("/area{number}/list"),
            1 => format!("/area{number}/{{id}}"),
            _ => format!("/area{number}/{{id}}/parts/{{part}}"),
        })
        .collect()
}

/// A path for each of [`patterns`].
pub fn paths(count: usize) -> Vec<String> {
    patterns(count).iter().map(|pattern| pattern.replace("{id}", "4711").replace("{part}", "wheel")).collect()
}

/// A table of [`patterns`], whose handlers do nothing.
///
/// # Panics
///
/// Never: the patterns are valid.
pub fn many(count: usize) -> RouteTable {
    let routes = patterns(count).into_iter().map(|pattern| Route {
        pattern,
        methods: vec![Method::GET],
        lane: LaneKind::Native,
        body: BodyMode::Ignored,
        handler: Arc::new(Nothing),
    });
    RouteTable::new(routes.collect(), None).expect("the patterns are valid")
}

struct Nothing;

impl Handler for Nothing {
    fn call(&self, _: Request) -> Answer {
        Answer::Now(Response::new(StatusCode::OK))
    }
}
