//! What calling a handler allocates, from the routed request to the response. One test, so that nothing else runs meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bimetal_host::{Host, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::{Answer, Body, Handler, Request};
use bytes::Bytes;

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

#[test]
fn a_sync_handler_without_parameters_allocates_nothing() {
    // One gives a constant, the other writes into the buffer it is lent.
    for (name, expected) in [("health", r#"{"status":"ok"}"#), ("readyz", r#"{"status":"starting"}"#)] {
        let host = Host::new();
        for plugin in bimetal_builtin::plugins().unwrap() {
            host.register_static(plugin).unwrap();
        }
        let handler = host.bind(name, &[], &Readiness::default()).unwrap();
        let call = || {
            let request = Request::synthetic(Method::GET, "/probe", &[], Bytes::new());
            let before = COUNT.get();
            let answer = handler.call(request);
            let allocated = COUNT.get() - before;
            let Answer::Now(response) = answer else { panic!("a sync handler answers at once") };
            let Body::Full(body) = response.body else { panic!("there is a body") };
            assert_eq!(body, expected);
            allocated
        };
        // The first calls set up the thread's buffer.
        for _ in 0..3 {
            call();
        }
        // Enough to go through that buffer several times: it is used again, not allocated anew.
        for _ in 0..20_000 {
            assert_eq!(call(), 0, "{name}");
        }
    }
}
