//! From the route that was found to the bytes of the response, in process: built in, linked in, and from a plugin.
//!
//! The request is given up within the call, as in the server, and its head goes back to where it came from: what that costs
//! alone stands beside the rest.

use std::hint::black_box;

use bimetal_micro::{answer, linked, loaded, routed, table, DISPATCHES};
use criterion::{criterion_group, criterion_main, BatchSize, Criterion};

/// That of the extension.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn dispatch(criterion: &mut Criterion) {
    let (linked, loaded) = (linked(), loaded());
    let mut group = criterion.benchmark_group("dispatch");
    for case in DISPATCHES {
        let table = table(if case.loaded { &loaded } else { &linked }, case.pattern, case.handler);
        group.bench_function(case.name, |bencher| {
            bencher.iter_batched(
                || routed(&table, case.path),
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
