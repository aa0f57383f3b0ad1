//! Who a request counts for.

use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::http::{HeaderName, Request, Response};

/// The bits of an IPv6 address that stand for one client, who usually has all the others to choose from.
const IPV6_PREFIX: u32 = 64;

/// What tells one client from another one. Most fit in without an allocation.
pub(crate) type Who = SmallVec<[u8; 64]>;

/// What requests are counted by.
#[derive(Clone)]
pub enum Key {
    /// The address of the client, as a trusted proxy has it; of IPv6 addresses the first 64 bits.
    Client,
    /// The value of this header field; the client's address where a request has none.
    Header(HeaderName),
    /// What somebody makes of the request.
    Computed(Arc<dyn Compute>),
}

/// A key on its way: None for a request that is not counted, or the response in place of one.
pub type Computed = Pin<Box<dyn Future<Output = Result<Option<String>, Box<Response>>>>>;

/// Makes keys of requests.
pub trait Compute: Send + Sync + 'static {
    /// Called on the I/O worker: must not block. The future is polled there.
    fn key(&self, request: &Request) -> Computed;
}

/// What begins with it is what a client has said of itself; anything else is an address.
const SAID: u8 = b'=';

/// By the client's address.
pub(crate) fn client(request: &Request) -> Who {
    let told = request.forwarded().and_then(|forwarded| forwarded.client);
    match told {
        Some((host, _)) => match host.parse() {
            Ok(address) => by_address(address),
            // A proxy may use names.
            Err(_) => said(host.as_bytes()),
        },
        None => request.peer().map_or_else(Who::new, |peer| by_address(peer.ip())),
    }
}

/// By the value of a header field.
pub(crate) fn header(request: &Request, name: &HeaderName) -> Who {
    match request.header(name.as_str()) {
        Some(value) => said(value.as_bytes()),
        None => client(request),
    }
}

/// By what somebody has made of the request.
pub(crate) fn said(text: &[u8]) -> Who {
    let mut who = Who::new();
    who.push(SAID);
    who.extend_from_slice(text);
    who
}

/// Whether it is what a client has said of itself, and may be a secret.
pub(crate) fn is_said(who: &[u8]) -> bool {
    who.first() == Some(&SAID)
}

fn by_address(address: IpAddr) -> Who {
    let mut who = Who::new();
    // A SmallVec takes all that is written.
    let _ = match address.to_canonical() {
        IpAddr::V4(address) => write!(who, "{address}"),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX)));
            write!(who, "{network}/{IPV6_PREFIX}")
        }
    };
    who
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{by_address, client, header, is_said};
    use crate::http::{HeaderName, Method, Request};

    #[test]
    fn addresses_of_one_client_are_one() {
        let text = |address: &str| String::from_utf8(by_address(address.parse().unwrap()).to_vec()).unwrap();
        assert_eq!(text("203.0.113.7"), "203.0.113.7");
        assert_eq!(text("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(text("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1:2:bbbb::1"), "2001:db8:1:2::/64");
        assert_ne!(text("2001:db8:1:3::1"), "2001:db8:1:2::/64");
    }

    #[test]
    fn what_a_client_says_is_no_address() {
        let request = Request::synthetic(Method::GET, "/", &[("x-api-key", "203.0.113.7")], Bytes::new());
        let name = HeaderName::from_static("x-api-key");
        assert_eq!(&header(&request, &name)[..], b"=203.0.113.7");
        assert!(is_said(&header(&request, &name)) && !is_said(&by_address([203, 0, 113, 7].into())));
        assert_eq!(header(&request, &HeaderName::from_static("x-other")), client(&request));
    }
}
