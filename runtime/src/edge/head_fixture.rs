//! Requests for the tests of layers.

use std::borrow::Cow;

use super::{Layer, Noted, RequestHead};

/// A head made by hand.
pub(super) struct Given {
    pub(super) method: &'static str,
    pub(super) target: (&'static str, &'static str),
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) scheme: &'static str,
    pub(super) server: Option<(&'static str, u16)>,
}

/// `GET /` with `headers`.
pub(super) fn get(headers: &[(&'static str, &str)]) -> Given {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    Given { method: "GET", target: ("/", ""), headers, scheme: "http", server: Some(("127.0.0.1", 8000)) }
}

/// As [`get`], as a preflight.
pub(super) fn options(headers: &[(&'static str, &str)]) -> Given {
    Given { method: "OPTIONS", ..get(headers) }
}

impl Given {
    pub(super) fn noted(&self) -> Noted {
        Noted::of(self).unwrap()
    }

    /// With what `layer` asks for.
    pub(super) fn noted_for(&self, layer: &Layer) -> Noted {
        let mut noted = self.noted();
        layer.note(self, &mut noted);
        noted
    }
}

impl RequestHead for Given {
    fn method(&self) -> &str {
        self.method
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_slice())
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        let found = self.headers.iter().filter(|(given, _)| *given == name);
        found.map(|(_, value)| value.as_slice()).collect()
    }

    fn is_websocket(&self) -> bool {
        self.scheme.starts_with("ws")
    }

    fn is_secure(&self) -> bool {
        self.scheme.ends_with('s') && self.scheme != "ws"
    }

    fn path(&self) -> Cow<'_, str> {
        self.target.0.into()
    }

    fn query(&self) -> &str {
        self.target.1
    }

    fn server(&self) -> Option<(Cow<'_, str>, u16)> {
        self.server.map(|(host, port)| (host.into(), port))
    }
}

/// Status, header fields in their order, and body of a response.
pub(super) fn shown(response: crate::http::Response) -> (u16, Vec<String>, Vec<u8>) {
    let fields = response.headers.iter().map(|(name, value)| {
        let value: String = value.as_bytes().iter().map(|&byte| char::from(byte)).collect();
        format!("{name}: {value}")
    });
    let body = match response.body {
        crate::http::Body::Full(ref bytes) => bytes.to_vec(),
        _ => Vec::new(),
    };
    (response.status.as_u16(), fields.collect(), body)
}
