//! The two kinds of addresses a server can have.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Where a server listens, or its own end of a connection.
///
/// ```
/// use std::path::Path;
///
/// use bimetal_runtime::http::Address;
///
/// assert_eq!(Address::Unix(Path::new("/run/app.sock").into()).to_string(), "unix:/run/app.sock");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IP address and port.
    Inet(SocketAddr),
    /// A Unix socket: its path as it was bound; empty for one that has none.
    Unix(Arc<Path>),
}

impl Address {
    /// IP address and port, where it has them.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
