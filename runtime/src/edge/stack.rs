//! Layers in their order.

use std::sync::Arc;

use super::head::Arriving;
use super::{
    Compression, Conditional, ContentEncoding, Cors, Encoder, Hosts, HttpsRedirect, Noted, RequestHead,
    SecurityHeaders,
};
use crate::http::{HeaderFields, HeaderName, HeaderValue, Request, Response, StatusCode};

/// One layer.
#[derive(Clone, Debug)]
pub enum Layer {
    /// Cross-origin requests.
    Cors(Box<Cors>),
    /// gzip for responses, as Starlette has it.
    Compression(Compression),
    /// zstd, br and gzip for responses.
    ContentEncoding(ContentEncoding),
    /// Entity tags and 304.
    Conditional(Conditional),
    /// Header fields that have browsers be careful.
    SecurityHeaders(SecurityHeaders),
    /// Which hosts are served.
    Hosts(Hosts),
    /// From `http` to `https`.
    HttpsRedirect(HttpsRedirect),
}

impl Layer {
    /// Answers the request at once, if this layer does.
    pub fn before(&self, head: &impl RequestHead) -> Option<Response> {
        match self {
            Layer::Cors(cors) => cors.before(head),
            Layer::Hosts(hosts) => hosts.before(head),
            Layer::HttpsRedirect(https) => https.before(head),
            Layer::Compression(_)
            | Layer::ContentEncoding(_)
            | Layer::Conditional(_)
            | Layer::SecurityHeaders(_) => None,
        }
    }

    /// Notes what the response will depend on besides what is noted of every request.
    pub fn note(&self, head: &impl RequestHead, noted: &mut Noted) {
        match self {
            Layer::ContentEncoding(encoding) => encoding.note(head, noted),
            Layer::Conditional(conditional) => conditional.note(head, noted),
            Layer::SecurityHeaders(headers) => headers.note(head, noted),
            Layer::Cors(_) | Layer::Compression(_) | Layer::Hosts(_) | Layer::HttpsRedirect(_) => {}
        }
    }

    /// Completes a response that comes from further inside.
    pub fn after(&self, noted: &Noted, response: Response) -> Response {
        match self {
            Layer::Cors(cors) => cors.after(noted, response),
            Layer::Compression(compression) => compression.after(noted, response),
            Layer::ContentEncoding(encoding) => encoding.after(noted, response),
            Layer::Conditional(conditional) => conditional.after(noted, response),
            Layer::SecurityHeaders(headers) => headers.after(noted, response),
            Layer::Hosts(_) | Layer::HttpsRedirect(_) => response,
        }
    }

    /// The same, with a body that is there completed before this returns, however large it is.
    pub fn after_at_once(&self, noted: &Noted, response: Response) -> Response {
        match self {
            Layer::Compression(compression) => compression.after_at_once(noted, response),
            Layer::ContentEncoding(encoding) => encoding.after_at_once(noted, response),
            other => other.after(noted, response),
        }
    }

    /// Completes the head of a response whose body comes in parts; gives what the parts have to go through, if they do.
    pub fn after_head(
        &self,
        noted: &Noted,
        status: StatusCode,
        headers: &mut HeaderFields,
    ) -> Option<Encoder> {
        match self {
            Layer::Compression(compression) => {
                compression.after_head(noted, status, headers).map(Encoder::from)
            }
            Layer::ContentEncoding(encoding) => encoding.after_head(noted, status, headers),
            // It is about whole answers.
            Layer::Conditional(_) => None,
            other => {
                let response = Response::new(status).with_headers(std::mem::take(headers));
                *headers = other.after(noted, response).headers;
                None
            }
        }
    }

    /// Whether the head of such a response waits for the body's first part, which tells whether it is the only one.
    pub fn holds(&self, status: StatusCode, headers: &[(HeaderName, HeaderValue)]) -> bool {
        match self {
            Layer::Compression(compression) => !compression.passes(status, headers),
            Layer::ContentEncoding(encoding) => !encoding.passes(status, headers),
            Layer::Conditional(conditional) => !conditional.passes(status, headers),
            Layer::Cors(_) | Layer::Hosts(_) | Layer::HttpsRedirect(_) | Layer::SecurityHeaders(_) => false,
        }
    }

    /// Whether it completes bodies, and may hold their heads.
    pub fn is_about_bodies(&self) -> bool {
        matches!(self, Layer::Compression(_) | Layer::ContentEncoding(_) | Layer::Conditional(_))
    }
}

/// What every request of a server passes, the outermost layer first.
///
/// ```
/// use std::sync::Arc;
/// use bimetal_runtime::edge::{Compression, Cors, CorsOptions, Edge, Layer};
///
/// let options = CorsOptions { allow_origins: vec!["https://example.org".to_owned()], ..CorsOptions::default() };
/// let layers = vec![Layer::Cors(Cors::new(options).unwrap().into()), Layer::Compression(Compression::default())];
/// let edge = Edge::new(layers.into_iter().map(Arc::new).collect(), "");
/// assert!(!edge.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Edge {
    layers: Vec<Arc<Layer>>,
    root_path: String,
}

impl Edge {
    /// `layers`, the outermost first. `root_path` is what a proxy took away from the path of every request.
    pub fn new(layers: Vec<Arc<Layer>>, root_path: impl Into<String>) -> Edge {
        Edge { layers, root_path: root_path.into() }
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Lets `request` in: what its response will pass, and the answer if a layer has one already.
    pub fn enter(self: &Arc<Self>, request: &Request) -> (Passage, Option<Response>) {
        let head = Arriving { request, root_path: &self.root_path };
        let mut passage = Passage { edge: self.clone(), passed: 0, noted: Noted::of(&head) };
        for layer in &self.layers {
            if let Some(answer) = layer.before(&head) {
                return (passage, Some(answer));
            }
            if let Some(noted) = &mut passage.noted {
                layer.note(&head, noted);
            }
            passage.passed += 1;
        }
        (passage, None)
    }
}

/// The way out for the response to one request.
pub struct Passage {
    edge: Arc<Edge>,
    /// How many layers the request has passed.
    passed: usize,
    /// `None` for a WebSocket.
    noted: Option<Noted>,
}

impl Passage {
    /// Completes the response with every layer that the request has passed, the innermost first. One that stands for an
    /// exception nobody handled passes none of them.
    pub fn leave(self, mut response: Response) -> Response {
        if let Some(noted) = self.noted.filter(|_| !response.unhandled) {
            for layer in self.edge.layers[..self.passed].iter().rev() {
                response = layer.after(&noted, response);
            }
        }
        response
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
