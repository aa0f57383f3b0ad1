//! The smallest server: one native handler.
//!
//! ```text
//! cargo run -p bimetal-runtime --example hello -- 8000
//! curl http://127.0.0.1:8000/health
//! ```

use std::sync::Arc;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{
    Answer, BodyMode, Config, Error, Handler, LaneKind, Request, Response, Route, RouteTable, Server,
};

struct Health;

impl Handler for Health {
    fn call(&self, _request: Request) -> Answer {
        Answer::Now(Response::json(StatusCode::OK, "{\"status\":\"ok\"}"))
    }
}

fn main() -> Result<(), Error> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let server = Server::bind(Config { port, ..Config::default() })?;
    let routes = vec![Route {
        pattern: "/health".to_owned(),
        methods: vec![Method::GET],
        lane: LaneKind::Native,
        body: BodyMode::Ignored,
        handler: Arc::new(Health),
    }];
    let running = server.serve(Arc::new(RouteTable::new(routes, None)?))?;
    println!("listening on http://{}", running.local_addr());
    loop {
        std::thread::park();
    }
}
