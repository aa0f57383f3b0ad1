//! Finding the route: 10, 130 and 1,000 routes, beside actix-router, which tries them one by one.

use std::hint::black_box;
use std::sync::Arc;

use actix_router::{Path, Router};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{Answer, BodyMode, Handler, LaneKind, Request, Response, Route, RouteTable};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};

struct Nothing;

impl Handler for Nothing {
    fn call(&self, _: Request) -> Answer {
        Answer::Now(Response::new(bimetal_runtime::http::StatusCode::OK))
    }
}

/// A third of them without a parameter, a third with one, a third with two: what an API looks like.
fn patterns(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| match number % 3 {
            0 => format!("/area{number}/list"),
            1 => format!("/area{number}/{{id}}"),
            _ => format!("/area{number}/{{id}}/parts/{{part}}"),
        })
        .collect()
}

fn paths(count: usize) -> Vec<String> {
    patterns(count).iter().map(|pattern| pattern.replace("{id}", "4711").replace("{part}", "wheel")).collect()
}

fn router(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router");
    for count in [10, 130, 1000] {
        let routes = patterns(count).into_iter().map(|pattern| Route {
            pattern,
            methods: vec![Method::GET],
            lane: LaneKind::Native,
            body: BodyMode::Ignored,
            handler: Arc::new(Nothing),
        });
        let table = RouteTable::new(routes.collect(), None).expect("the patterns are valid");
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
