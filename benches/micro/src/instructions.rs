//! `instructions NAME COUNT`: does one thing COUNT times, for a profiler that counts instructions. `instructions.py` starts it.
//!
//! Without arguments it lists the names. What is counted happens within functions whose names begin with `counted_`.

use std::hint::black_box;
use std::process::ExitCode;

use bimetal_micro::{answer, linked, loaded, many, paths, routed, table, DISPATCHES};
use bimetal_runtime::http::Method;
use bimetal_runtime::routing::Lookup;
use bimetal_runtime::{Request, Response, RouteTable};

const ROUTER: &str = "router, 130 routes";
const ROUTES: usize = 130;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        DISPATCHES.iter().map(|case| case.name).chain([ROUTER]).for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Ok(count) = count.parse() else {
        eprintln!("error: {count:?} is no number");
        return ExitCode::FAILURE;
    };
    if name == ROUTER {
        lookups(count);
    } else if let Some(case) = DISPATCHES.iter().find(|case| case.name == name) {
        let host = if case.loaded { loaded() } else { linked() };
        let table = table(&host, case.pattern, case.handler);
        for _ in 0..count {
            drop(black_box(counted_dispatch(&table, black_box(routed(&table, case.path)))));
        }
    } else {
        eprintln!("error: nothing is named {name:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn lookups(count: usize) {
    let (table, paths) = (many(ROUTES), paths(ROUTES));
    for number in 0..count {
        black_box(counted_lookup(&table, &paths[number % ROUTES]));
    }
}

/// From the route that was found to the response.
#[inline(never)]
fn counted_dispatch(table: &RouteTable, request: Request) -> Response {
    answer(table, request)
}

/// From the path to the route and its parameters.
#[inline(never)]
fn counted_lookup<'t>(table: &'t RouteTable, path: &str) -> Lookup<'t> {
    table.lookup(&Method::GET, path)
}
