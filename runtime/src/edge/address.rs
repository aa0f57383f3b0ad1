//! The `Host` header and the URL of a request.

use std::net::Ipv6Addr;

use super::RequestHead;

/// A `Host` header, taken apart. Headers with a character that could change a URL's path or authority are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostHeader<'a> {
    /// The host as sent; an IP literal with its brackets.
    pub host: &'a str,
    /// The digits after the colon, if there is one.
    pub port: Option<&'a str>,
}

impl<'a> HostHeader<'a> {
    /// Reads the value of a `Host` header; `None` when it is none.
    ///
    /// ```
    /// use bimetal_runtime::edge::HostHeader;
    ///
    /// let found = HostHeader::parse(b"[::1]:8000").unwrap();
    /// assert_eq!((found.host, found.port), ("[::1]", Some("8000")));
    /// assert!(HostHeader::parse(b"a.example/path").is_none());
    /// ```
    pub fn parse(value: &'a [u8]) -> Option<HostHeader<'a>> {
        let text = std::str::from_utf8(value).ok()?;
        let (host, rest) = match text.strip_prefix('[') {
            Some(inner) => {
                let end = inner.find(']')?;
                is_ip_literal(&inner[..end]).then(|| text.split_at(end + 2))?
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port),
            None if rest.is_empty() => None,
            _ => return None,
        };
        let named = host.starts_with('[')
            || (!host.is_empty() && host.bytes().all(|byte| in_name(byte) || byte == b'%'));
        named.then_some(HostHeader { host, port })
    }

    /// Whether the port is missing or one that exists.
    pub fn has_valid_port(&self) -> bool {
        let digits = self.port.unwrap_or_default().trim_start_matches('0');
        digits.len() <= 5 && digits.parse().unwrap_or(0_u32) <= u32::from(u16::MAX)
    }
}

/// What stands between the brackets of an IP literal: IPv6, or the form that is kept for later versions.
fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix('v') {
        return future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(|byte| in_name(byte) || byte == b':')
        });
    }
    text.parse::<Ipv6Addr>().is_ok()
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=-".contains(&byte)
}

/// The URL of a request, as Starlette's `URL(scope=...)` puts it together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `http`, `https`, `ws` or `wss`.
    pub scheme: &'static str,
    /// Host and port; `None` when neither the request nor the server names them.
    pub netloc: Option<String>,
    /// The decoded path, but for `?`, `#` and `\`, which are escaped.
    pub path: String,
    /// The query as sent.
    pub query: String,
}

impl Url {
    /// The URL of `head`: the host it names, or else the server's address.
    pub fn of(head: &impl RequestHead) -> Url {
        let scheme = head.scheme();
        let named = head.header("host").and_then(HostHeader::parse).filter(HostHeader::has_valid_port);
        let netloc = match named {
            Some(HostHeader { host, port: Some(port) }) => Some(format!("{host}:{port}")),
            Some(HostHeader { host, port: None }) => Some(host.to_owned()),
            None => head.server().map(|(host, port)| {
                let host = if host.contains(':') && !host.starts_with('[') {
                    format!("[{host}]")
                } else {
                    host.into_owned()
                };
                match (scheme, port) {
                    ("http" | "ws", 80) | ("https" | "wss", 443) => host,
                    _ => format!("{host}:{port}"),
                }
            }),
        };
        let mut path = String::new();
        for character in head.path().chars() {
            match character {
                '?' => path.push_str("%3F"),
                '#' => path.push_str("%23"),
                '\\' => path.push_str("%5C"),
                // Python's `urlsplit`, through which the URL goes, takes these out.
                '\t' | '\r' | '\n' => {}
                other => path.push(other),
            }
        }
        if netloc.is_none() && path.starts_with("//") {
            // Without a host, a leading `//` would read as one.
            path.replace_range(..2, "/%2F");
        }
        Url { scheme, netloc, path, query: head.query().to_owned() }
    }

    /// The port in the authority. One that is not there, or is none, is `None`.
    pub fn port(&self) -> Option<u16> {
        HostHeader::parse(self.netloc.as_deref()?.as_bytes())?.port?.parse().ok()
    }

    /// The host in the authority, in lower case, an IP literal without its brackets; a zone keeps its case.
    pub fn hostname(&self) -> Option<String> {
        let host = HostHeader::parse(self.netloc.as_deref()?.as_bytes())?.host;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (name, zone) = host.split_at(host.find('%').unwrap_or(host.len()));
        Some(format!("{}{zone}", name.to_ascii_lowercase()))
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(netloc) = &self.netloc {
            write!(f, "{}://{netloc}", self.scheme)?;
            if !self.path.is_empty() && !self.path.starts_with('/') {
                f.write_str("/")?;
            }
        }
        f.write_str(&self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
