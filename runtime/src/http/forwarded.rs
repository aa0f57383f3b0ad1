//! Where a request came from, when a proxy that is trusted says so: `X-Forwarded-For` and `X-Forwarded-Proto`, read as
//! uvicorn reads them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::header::HeaderMap;

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";

/// The proxies whose word counts: addresses, networks (`10.0.0.0/8`), other names, `unix` for whoever connects to a Unix
/// socket, or `*` for whoever connects.
///
/// ```
/// use bimetal_runtime::http::TrustedProxies;
///
/// let trusted = TrustedProxies::parse(["127.0.0.1", "10.0.0.0/8"]).unwrap();
/// assert!(trusted.trust("10.1.2.3"));
/// assert!(!trusted.trust("192.0.2.1"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    everybody: bool,
    unix: bool,
    addresses: Vec<IpAddr>,
    networks: Vec<IpNet>,
    names: Vec<String>,
}

/// What a proxy says of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The client, as the proxy names it, and its port (0 where it names none).
    pub client: Option<(String, i64)>,
    /// Whether the client's connection is encrypted.
    pub secure: Option<bool>,
}

impl TrustedProxies {
    /// Reads a list of proxies; an empty one trusts nobody.
    ///
    /// # Errors
    ///
    /// What is wrong with an entry that has the form of a network and is none.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<TrustedProxies, String> {
        let mut trusted = TrustedProxies::default();
        for entry in entries {
            let entry = entry.as_ref().trim();
            match entry {
                "" => {}
                "*" => trusted.everybody = true,
                network if network.contains('/') => match network.parse::<IpNet>() {
                    Ok(network) => trusted.networks.push(network.trunc()),
                    Err(_) => {
                        return Err(format!(
                            "`{network}` is not a network; write it like 10.0.0.0/8 or fd00::/8"
                        ))
                    }
                },
                other => match other.parse() {
                    Ok(address) => trusted.addresses.push(address),
                    Err(_) => {
                        trusted.unix |= other == "unix";
                        trusted.names.push(other.to_owned());
                    }
                },
            }
        }
        Ok(trusted)
    }

    /// Whether the word of `host`, an address or a name, counts.
    pub fn trust(&self, host: &str) -> bool {
        match host.parse() {
            Ok(address) => self.trust_address(address),
            Err(_) => self.everybody || self.names.iter().any(|name| name == host),
        }
    }

    fn trust_address(&self, address: IpAddr) -> bool {
        self.everybody
            || self.addresses.contains(&address)
            || self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether the word of `peer` counts; `None` is one at a Unix socket.
    pub(crate) fn trust_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.everybody || self.unix, |peer| self.trust_address(peer))
    }

    /// What the proxy at `peer` says; `None` where it is not trusted or says nothing.
    pub(super) fn read(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<Forwarded> {
        if !headers.contains_key(FOR) && !headers.contains_key(PROTO) {
            return None;
        }
        if !self.trust_peer(peer) {
            return None;
        }
        let proto = headers.get_all(PROTO).last();
        let secure = proto.and_then(|proto| match proto.as_bytes().trim_ascii() {
            b"https" | b"wss" => Some(true),
            b"http" | b"ws" => Some(false),
            _ => None,
        });
        // Latin-1, as header fields are.
        let list: Vec<String> = headers
            .get_all(FOR)
            .map(|value| value.as_bytes().iter().map(|byte| char::from(*byte)).collect())
            .collect();
        let client =
            (!list.is_empty()).then(|| self.client(&list.join(", "))).filter(|(host, _)| !host.is_empty());
        Some(Forwarded { client, secure })
    }

    /// The client of `list`, to which each proxy has appended whom it got the request from: the last one that is not trusted, or
    /// the first where all are.
    fn client(&self, list: &str) -> (String, i64) {
        let first = list.split(',').next().unwrap_or_default();
        let found = if self.everybody {
            None
        } else {
            list.rsplit(',').map(|entry| host_and_port(entry.trim())).find(|(host, _)| !self.trust(host))
        };
        let (host, port) = found.unwrap_or_else(|| host_and_port(first.trim()));
        (host.to_owned(), port)
    }
}

/// `host`, `host:port`, `[host]` or `[host]:port`; anything else is a host as it stands.
fn host_and_port(entry: &str) -> (&str, i64) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, "")) => (host, 0),
            Some((host, port)) if port.starts_with(':') => (host, number(&port[1..]).unwrap_or(0)),
            _ => (entry, 0),
        };
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => match number(port) {
            Some(port) => (host, port),
            None => (entry, 0),
        },
        _ => (entry, 0),
    }
}

/// What Python's `int` reads, where it fits.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_start_matches(['+', '-']);
    let well_placed = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let text = if well_placed && text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    i64::from_str(&text).ok()
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
