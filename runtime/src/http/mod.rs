//! Requests, responses, bodies and WebSockets. With [`server`](crate::server) the only user of actix types.

mod body;
mod head;
mod request;
mod response;
pub mod websocket;

pub use actix_http::header::{self, HeaderName, HeaderValue};
pub use actix_http::{Method, StatusCode, Version};

pub use body::{Body, BodyReader, ByteStream};
pub use head::Head;
pub use request::Request;
pub use response::Response;
