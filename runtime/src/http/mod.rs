//! Requests, responses, bodies and WebSockets. With [`server`](crate::server) the only user of actix types.

mod address;
mod body;
mod chunks;
mod connection;
mod early;
mod errand;
mod forwarded;
mod gate;
mod head;
pub(crate) mod http2;
mod incoming;
mod outgoing;
pub(crate) mod proxy_protocol;
mod refusal;
mod request;
mod request_id;
mod response;
mod stream;
mod strict;
mod task;
pub mod websocket;

pub use actix_http::header::{self, HeaderName, HeaderValue};
pub use actix_http::{Method, StatusCode, Version};

pub use address::Address;
pub(crate) use body::Collected;
pub use body::{Body, BodyReader, ByteStream};
pub use errand::Errand;
pub use forwarded::{Forwarded, TrustedProxies};
pub use head::Head;
pub use request::Request;
pub(crate) use request_id::{RequestIds, X_REQUEST_ID};
pub use response::{HeaderFields, Response};
pub use task::spawn_local;

pub(crate) use connection::{Connection, Phase, Pulse, Socket};
pub(crate) use early::Early;
pub(crate) use errand::Unfit;
pub(crate) use gate::Announced;
pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{Framing, Guard, Outgoing};
pub(crate) use refusal::Refusal;
pub(crate) use stream::Stream;
pub(crate) use strict::HeadLimits;
