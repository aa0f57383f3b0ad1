//! What the benchmarks share: native handlers from every source, and requests for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use bimetal_host::{Host, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{LaneKind, Request, Route, RouteTable};
use bytes::Bytes;

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
        handler: std::sync::Arc::new(handler),
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
