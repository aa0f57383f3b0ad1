//! What calling a handler allocates, from the routed request to the response. One test, so that nothing else runs meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bimetal::prelude::*;
use bimetal_host::{Host, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{Answer, Body, Handler, LaneKind, Request, Route, RouteTable};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

bimetal::plugin! { name: "here" }

#[native_handler]
fn twice(Path(number): Path<i64>) -> Json<i64> {
    Json(number * 2)
}

#[native_handler]
async fn thrice(Path((number, name)): Path<(u32, bool)>) -> Json<(u32, bool, &'static str)> {
    std::future::ready(()).await;
    Json((number * 3, name, "three times"))
}

/// More than the host keeps room for, aligned beyond what it has.
#[native_handler]
async fn large() -> Json<usize> {
    #[repr(align(64))]
    struct Large([u8; 1024]);
    let large = Large([1; 1024]);
    std::future::ready(()).await;
    Json(large.0.iter().map(|byte| usize::from(*byte)).sum())
}

/// What the calls of a handler allocate, one after the other, once the first ones have set up what the thread keeps.
fn allocations(name: &str, pattern: &str, path: &str, expected: &str) -> Vec<usize> {
    let host = Host::new();
    for plugin in bimetal_builtin::plugins().unwrap() {
        host.register_static(plugin).unwrap();
    }
    let params: Vec<String> = pattern
        .split('/')
        .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
        .collect();
    let handler = host.bind(name, &params, &Readiness::default()).unwrap();
    let route = Route {
        pattern: pattern.to_owned(),
        methods: vec![Method::GET],
        lane: LaneKind::Native,
        body: handler.body_mode(),
        handler: std::sync::Arc::new(handler.clone()),
    };
    let table = RouteTable::new(vec![route], None).unwrap();
    let call = || {
        let mut request = Request::synthetic(Method::GET, path, &[], Bytes::new());
        let Lookup::Route(_, params) = table.lookup(request.method(), path) else {
            panic!("no route for {path}")
        };
        request.set_params(params);
        let before = COUNT.get();
        let answer = handler.call(request);
        let allocated = COUNT.get() - before;
        let Answer::Now(response) = answer else { panic!("{name} has to wait for nothing") };
        let Body::Full(body) = response.body else { panic!("there is a body") };
        assert_eq!(body, expected);
        allocated
    };
    for _ in 0..3 {
        call();
    }
    // Enough to go through the thread's buffer several times: it is used again, not allocated anew.
    (0..20_000).map(|_| call()).collect()
}

#[test]
fn a_handler_that_answers_at_once_allocates_nothing() {
    for (name, pattern, path, expected) in [
        // One gives a constant, the others write into the buffer they are lent.
        ("health", "/probe", "/probe", r#"{"status":"ok"}"#),
        ("readyz", "/probe", "/probe", r#"{"status":"starting"}"#),
        ("here.twice", "/twice/{number}", "/twice/4711", "9422"),
        // Its future is ready when it is first polled.
        ("here.thrice", "/thrice/{number}/{name}", "/thrice/7/yes", r#"[21,true,"three times"]"#),
    ] {
        assert!(allocations(name, pattern, path, expected).iter().all(|count| *count == 0), "{name}");
    }
    // A future that is larger than what the host has ready is given room of its own.
    assert!(allocations("here.large", "/large", "/large", "1024").iter().all(|count| *count == 1));
}
