//! What every request passes before it is routed, and every response before it is sent.
//!
//! An [`Edge`] is an ordered list of [`Layer`]s, the outermost first. Each is a plain configuration with at most two pure
//! steps: `before` may answer a request at once, `after` completes a response. They give the answers of Starlette's
//! middleware of the same job, header for header.
//!
//! | module | its one job |
//! |---|---|
//! | [`stack`](self) | layers in their order, for one request after the other |
//! | [`cors`](Cors) | cross-origin requests: preflights, and headers of responses |
//! | [`compression`](Compression) | gzip for responses, whole or streamed |
//! | [`hosts`](Hosts) | which `Host` headers are served |
//! | [`https`](HttpsRedirect) | from `http` to `https` |
//! | [`address`](HostHeader) | the `Host` header and the URL of a request |
//! | [`head`](RequestHead) | what a layer may see of a request |
//! | `fields`, `answer` | header fields edited in place; the answers that layers give |
//! | `access_log` | one line for each request |

mod access_log;
mod address;
mod answer;
mod compression;
mod cors;
pub(crate) mod fields;
mod gzip;
mod head;
#[cfg(test)]
mod head_fixture;
mod hosts;
mod https;
mod stack;

pub use address::{HostHeader, Url};
pub use compression::{Compression, EXCLUDED_CONTENT_TYPES};
pub use cors::{Cors, CorsOptions, ALL_METHODS};
pub use gzip::Gzip;
pub use head::{Noted, RequestHead};
pub use hosts::Hosts;
pub use https::HttpsRedirect;
pub use stack::{Edge, Layer, Passage};

pub(crate) use access_log::AccessEntry;
pub(crate) use answer::{plain_text, redirect};
pub(crate) use head::Arriving;
