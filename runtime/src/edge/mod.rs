//! What every request passes before it is routed, and every response before it is sent.
//!
//! An [`Edge`] is an ordered list of [`Layer`]s, the outermost first. Each is a plain configuration with at most two pure
//! steps: `before` may answer a request at once, `after` completes a response. Those that Starlette has a middleware for give
//! its answers, header for header.
//!
//! | module | its one job |
//! |---|---|
//! | [`stack`](self) | layers in their order, for one request after the other |
//! | [`cors`](Cors) | cross-origin requests: preflights, and headers of responses |
//! | [`compression`](Compression) | gzip for responses, whole or streamed, as Starlette has it |
//! | [`content_encoding`](ContentEncoding) | zstd, br and gzip for responses, as the client wants it |
//! | [`conditional`](Conditional) | entity tags, and 304 for what a client has already |
//! | [`security_headers`](SecurityHeaders) | header fields that have browsers be careful |
//! | [`hosts`](Hosts) | which `Host` headers are served |
//! | [`https`](HttpsRedirect) | from `http` to `https` |
//! | [`address`](HostHeader) | the `Host` header and the URL of a request |
//! | [`head`](RequestHead) | what a layer may see of a request |
//! | [`coding`](Coding) | the codings and their encoders |
//! | `accept_encoding`, `encoded_stream`, `excluded` | what a client takes; a body that is encoded while it is sent; what is not |
//! | `fields`, `answer` | header fields edited in place; the answers that layers give |
//! | `access_log` | one line for each request |

mod accept_encoding;
mod access_log;
mod address;
mod answer;
mod coding;
#[cfg(test)]
mod coding_fixture;
mod compression;
mod conditional;
mod content_encoding;
mod cors;
mod encoded_stream;
mod excluded;
pub(crate) mod fields;
mod gzip;
mod head;
#[cfg(test)]
mod head_fixture;
mod hosts;
mod https;
mod security_headers;
mod stack;

pub use address::{HostHeader, Url};
pub use coding::{Coding, Encoder};
pub use compression::Compression;
pub use conditional::Conditional;
pub use content_encoding::ContentEncoding;
pub use cors::{Cors, CorsOptions, ALL_METHODS};
pub use excluded::EXCLUDED_CONTENT_TYPES;
pub use gzip::Gzip;
pub use head::{Noted, RequestHead};
pub use hosts::Hosts;
pub use https::HttpsRedirect;
pub use security_headers::SecurityHeaders;
pub use stack::{Edge, Layer, Passage};

pub(crate) use access_log::AccessEntry;
pub(crate) use answer::{plain_text, redirect};
pub(crate) use head::Arriving;
