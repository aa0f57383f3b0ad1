//! From the route that was found to the bytes of the response, in process: built in, linked in, and from a plugin.
//!
//! The request is given up within the call, as in the server, and its head goes back to where it came from: what that costs
//! alone stands beside the rest.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bimetal_micro::{linked, loaded, routed, table};
use bimetal_runtime::{Answer, Request, Response, RouteTable};
use criterion::{criterion_group, criterion_main, BatchSize, Criterion};

/// That of the extension.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn answer(table: &RouteTable, request: Request) -> Response {
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

fn dispatch(criterion: &mut Criterion) {
    let (linked, loaded) = (linked(), loaded());
    let mut group = criterion.benchmark_group("dispatch");
    for (name, host, pattern, handler, path) in [
        ("health, built in", &linked, "/health", "health", "/health"),
        ("health, from a plugin", &loaded, "/health", "micro.health", "/health"),
        ("small JSON, from a plugin", &loaded, "/status", "micro.status", "/status"),
        ("typed path parameter, from a plugin", &loaded, "/users/{id}", "micro.user", "/users/4711"),
        ("async, ready at the first poll, from a plugin", &loaded, "/ready", "micro.ready", "/ready"),
    ] {
        let table = table(host, pattern, handler);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || routed(&table, path),
                |request| black_box(answer(&table, black_box(request))),
                // Few at a time: a request that has just been read is in the cache.
                BatchSize::NumIterations(64),
            );
        });
    }
    let table = table(&linked, "/health", "health");
    group.bench_function("the end of a request alone", |bencher| {
        bencher.iter_batched(
            || routed(&table, "/health"),
            |request| drop(black_box(request)),
            BatchSize::NumIterations(64),
        );
    });
    group.finish();
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
