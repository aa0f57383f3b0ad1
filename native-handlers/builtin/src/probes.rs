//! Health probes.

use bimetal::prelude::{native_handler, Constant, Json, JsonSchema, Serialize, ServerState};

/// What a probe answers.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// `ok`, `started`, `ready`, `starting` or `draining`.
    status: &'static str,
}

static OK: Constant<Status> = Constant::new(|| Status { status: "ok" });

/// Whether the process serves requests.
#[native_handler]
fn health() -> &'static Constant<Status> {
    &OK
}

/// Whether the process serves requests.
#[native_handler]
fn livez() -> &'static Constant<Status> {
    &OK
}

/// Whether the server takes requests of the application.
#[native_handler]
fn readyz(state: ServerState) -> (u16, Json<Status>) {
    let (code, status) = match state {
        ServerState::Ready => (200, "ready"),
        ServerState::Starting => (503, "starting"),
        ServerState::Draining => (503, "draining"),
    };
    (code, Json(Status { status }))
}

/// Whether the startup of the application has been done.
#[native_handler]
fn startupz(state: ServerState) -> (u16, Json<Status>) {
    let (code, status) = match state {
        ServerState::Ready | ServerState::Draining => (200, "started"),
        ServerState::Starting => (503, "starting"),
    };
    (code, Json(Status { status }))
}
