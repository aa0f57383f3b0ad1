//! Finding the route: 10, 130 and 1,000 routes, beside actix-router, which tries them one by one.

use std::hint::black_box;

use actix_router::{Path, Router};
use bimetal_micro::{many, paths, patterns};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};

fn router(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router");
    for count in [10, 130, 1000] {
        let table = many(count);
        let mut rival = Router::<usize>::build();
        for (number, pattern) in patterns(count).iter().enumerate() {
            rival.path(pattern.as_str(), number);
        }
        let rival = rival.finish();
        let paths = paths(count);
        let mut next = 0;
        // Each path in turn: the average over first and last routes.
        let mut turn = || {
            next = (next + 1) % paths.len();
            paths[next].as_str()
        };
        group.bench_function(BenchmarkId::new("bimetal", count), |bencher| {
            bencher.iter(|| match table.lookup(&Method::GET, black_box(turn())) {
                Lookup::Route(route, params) => (black_box(params), route),
                Lookup::Fallback(_) | Lookup::MethodNotAllowed(_) | Lookup::NotFound => {
                    unreachable!("every path has its route")
                }
            });
        });
        group.bench_function(BenchmarkId::new("actix-router", count), |bencher| {
            bencher.iter(|| {
                let mut path = Path::new(black_box(turn()));
                let found = rival.recognize(&mut path).map(|(route, _)| *route);
                (black_box(path), found.expect("every path has its route"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, router);
criterion_main!(benches);
