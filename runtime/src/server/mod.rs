//! Bind, accept, workers, drain.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::metrics::Stats;
use crate::{Config, Error, RouteTable};

/// A bound server that does not listen yet.
pub struct Server {
    _todo: (),
}

impl Server {
    /// Binds the address; connections are refused until [`Server::serve`]. An error of kind `Bind` names the address.
    pub fn bind(config: Config) -> Result<Server, Error> {
        let _ = config;
        unreachable!()
    }
    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        unreachable!()
    }
    /// Listens and serves `table` on threads of its own, until [`Running::stop`].
    pub fn serve(self, table: Arc<RouteTable>) -> Result<Running, Error> {
        let _ = table;
        unreachable!()
    }
}

/// A server that accepts connections. Dropping it stops it at once.
pub struct Running {
    _todo: (),
}

impl Running {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        unreachable!()
    }
    /// Replaces the routes for every request from now on; requests in flight finish on the old ones.
    pub fn swap(&self, table: Arc<RouteTable>) {
        let _ = table;
        unreachable!()
    }
    /// Counters so far.
    pub fn stats(&self) -> Stats {
        unreachable!()
    }
    /// Stops accepting, closes idle connections at once, waits at most
    /// [`Config::drain_timeout`] for requests in flight, closes the rest, joins every thread.
    /// Blocks the calling thread. Returns whether everything in flight finished.
    pub fn stop(self) -> bool {
        unreachable!()
    }
}
