//! Layers in their order.

use std::sync::Arc;

use super::head::Arriving;
use super::{Compression, Cors, Hosts, HttpsRedirect, Noted, RequestHead};
use crate::http::{Request, Response};

/// One layer.
#[derive(Clone, Debug)]
pub enum Layer {
    /// Cross-origin requests.
    Cors(Box<Cors>),
    /// gzip for responses.
    Compression(Compression),
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
            Layer::Compression(_) => None,
            Layer::Hosts(hosts) => hosts.before(head),
            Layer::HttpsRedirect(https) => https.before(head),
        }
    }

    /// Completes a response that comes from further inside.
    pub fn after(&self, noted: &Noted, response: Response) -> Response {
        match self {
            Layer::Cors(cors) => cors.after(noted, response),
            Layer::Compression(compression) => compression.after(noted, response),
            Layer::Hosts(_) | Layer::HttpsRedirect(_) => response,
        }
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
