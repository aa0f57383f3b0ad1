//! The ASGI 3 server: the lane that runs whole applications.
//!
//! | module | its one job |
//! |---|---|
//! | [`scope`] | the head of a request as an ASGI scope |
//! | [`http`] | one HTTP exchange: `receive`, `send`, and what the application's end means |
//! | [`websocket`] | one WebSocket session |
//! | [`lifespan`] | startup and shutdown |
//! | [`message`] | reading the messages applications send |
//! | [`handler`] | the I/O worker's end of it |

pub(crate) mod handler;
pub(crate) mod http;
pub(crate) mod lifespan;
pub(crate) mod message;
pub(crate) mod scope;
mod websocket;
