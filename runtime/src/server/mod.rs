//! Bind, accept, workers, drain.
//!
//! Each I/O worker is a thread with a runtime of its own that accepts from the shared listening socket and
//! serves what it accepted until the connection ends. actix-http does the protocol; accepting is done here,
//! since a server must start and stop within milliseconds and leave no thread behind.

mod accept;
mod bind;
mod errands;
mod exchange;
mod handle;
mod http2;
mod opening;
mod published;
mod respond;
mod served;
mod service;
mod socket_file;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::http::Address;
use crate::metrics::{RouteTimes, Stats};
use crate::tls::{Contents, Secured, Watch};
use crate::{Config, Error, ErrorKind, RouteTable};
use handle::Inbox;
use published::Published;
use served::Served;
use socket_file::SocketFile;
use worker::{Order, Routes, WorkerThread};

pub use bind::Listener;
pub use handle::{ErrandError, ErrandReply, PendingReply, ServerHandle, MAX_ERRAND_DEPTH};

/// What is allowed to a worker beyond its deadline before it is given up: it sits in a handler that does not
/// return.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// HTTP/1.1 and HTTP/2, as clients ask for them in the handshake of TLS.
const HTTP_1: &str = "http/1.1";
const HTTP_2: &str = "h2";

/// A bound server that does not listen yet.
pub struct Server {
    config: Config,
    listener: Listener,
    secured: Option<(Arc<Secured>, Contents)>,
    handle: ServerHandle,
    inboxes: Vec<Inbox>,
}

impl Server {
    /// Binds the address; connections are refused until [`Server::serve`]. An error of kind `Bind` names the
    /// address, one of kind `Config` the setting that is impossible.
    pub fn bind(config: Config) -> Result<Server, Error> {
        check(&config)?;
        let listener = Listener::bind(&config)?;
        Server::from_listener(config, listener)
    }

    /// Takes a socket that is bound already; `host`, `port` and `uds` of `config` are not used. An error of kind `Config` names
    /// the setting that is impossible.
    pub fn from_listener(config: Config, listener: Listener) -> Result<Server, Error> {
        check(&config)?;
        let secured = config
            .tls
            .clone()
            .map(|tls| Secured::load(tls, if config.http2 { &[HTTP_2, HTTP_1] } else { &[HTTP_1] }));
        let secured = secured.transpose()?;
        let secured = secured.map(|(secured, contents)| (Arc::new(secured), contents));
        let (handle, inboxes) = ServerHandle::new(listener.address().clone(), config.io_threads);
        Ok(Server { config, listener, secured, handle, inboxes })
    }

    /// A handle for whoever runs inside of the server. Until [`Server::serve`], what it is asked for waits.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// The bound address.
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// IP address and port, where it is bound to these.
    ///
    /// # Panics
    ///
    /// Where it is bound to a Unix socket: see [`Server::address`].
    pub fn local_addr(&self) -> SocketAddr {
        inet(self.address())
    }

    /// Listens and serves `table` on threads of its own, until [`Running::stop`].
    ///
    /// An error of kind `Bind` when another process listens on the port by now, of kind `Server` when the
    /// threads cannot be started.
    pub fn serve(self, table: Arc<RouteTable>) -> Result<Running, Error> {
        let Server { config, listener, secured, handle, inboxes } = self;
        let Listener { socket, address, file } = listener;
        let backlog = i32::try_from(config.backlog).unwrap_or(i32::MAX);
        socket.listen(backlog).map_err(|error| bind::bind_error(&address.to_string(), error))?;
        if file.as_ref().is_some_and(|file| !file.is_ours()) {
            let message =
                format!("cannot listen on {address}: another server has been started on it meanwhile");
            return Err(Error::new(ErrorKind::Bind, message));
        }
        let (orders, order) = watch::channel(Order::Serve);
        let config = Arc::new(config);
        let routes = Published::new(Served::new(table, handle.series()));
        let cannot_start = |what: &str, error: io::Error| {
            Error::new(ErrorKind::Server, format!("{what} cannot be started: {error}")).with_cause(error)
        };
        let (secured, watch) = match secured {
            None => (None, None),
            Some((secured, contents)) => {
                let watch = Watch::start(Arc::clone(&secured), contents)
                    .map_err(|error| cannot_start("the thread that renews certificates", error))?;
                (Some(secured), Some(watch))
            }
        };
        let mut running = Running {
            address,
            file,
            _watch: watch,
            routes,
            orders,
            handle,
            workers: Vec::new(),
            drain_timeout: config.drain_timeout,
        };
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let worker = socket
                .try_clone()
                .and_then(|socket| {
                    WorkerThread::start(
                        index,
                        config.clone(),
                        secured.clone(),
                        running.routes.clone(),
                        inbox,
                        socket,
                        order.clone(),
                    )
                })
                .map_err(|error| cannot_start(&format!("I/O worker {index}"), error))?;
            running.workers.push(worker);
        }
        Ok(running)
    }
}

fn check(config: &Config) -> Result<(), Error> {
    for (setting, value) in [("io_threads", config.io_threads), ("max_connections", config.max_connections)] {
        if value == 0 {
            return Err(Error::new(ErrorKind::Config, format!("the setting {setting} must be at least 1")));
        }
    }
    // Beyond them actix-http gives up for reasons of its own.
    for (setting, value, most) in [
        ("max_head_size", config.max_head_size, 131_072),
        ("max_request_line", config.max_request_line, 65_535),
        ("max_header_fields", config.max_header_fields, 96),
    ] {
        if value == 0 || value > most {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the setting {setting} must be at least 1 and at most {most}, not {value}"),
            ));
        }
    }
    Ok(())
}

fn inet(address: &Address) -> SocketAddr {
    address.inet().unwrap_or_else(|| panic!("{address} is no IP address"))
}

/// A server that accepts connections. Dropping it stops it at once.
pub struct Running {
    address: Address,
    file: Option<SocketFile>,
    _watch: Option<Watch>,
    routes: Routes,
    orders: watch::Sender<Order>,
    handle: ServerHandle,
    workers: Vec<WorkerThread>,
    drain_timeout: Duration,
}

impl Running {
    /// The address it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// IP address and port, where it listens on these.
    ///
    /// # Panics
    ///
    /// Where it listens on a Unix socket: see [`Running::address`].
    pub fn local_addr(&self) -> SocketAddr {
        inet(&self.address)
    }

    /// The routes as they are now.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(self.routes.value().table())
    }

    /// Replaces the routes for every request from now on, in one step; requests in flight finish on the old ones, which
    /// are dropped when the last of these has been answered.
    pub fn swap(&self, table: Arc<RouteTable>) {
        drop(self.routes.publish(Served::new(table, self.handle.series())));
        // A worker without requests has to let go of the old ones too.
        self.orders.send_replace(Order::Serve);
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Where the time of requests went so far, for every route and method that had one, in the order of the routes.
    pub fn route_times(&self) -> Vec<RouteTimes> {
        self.handle.route_times()
    }

    /// Stops accepting, closes idle connections at once, waits at most
    /// [`Config::drain_timeout`] for requests in flight, closes the rest, joins every thread.
    /// Blocks the calling thread. Returns whether everything in flight finished.
    ///
    /// A thread that sits in a handler that does not return cannot be joined: it is logged and left behind.
    pub fn stop(mut self) -> bool {
        let deadline = Instant::now() + self.drain_timeout;
        // Before nobody listens any more: a server that is started on it now has its own.
        self.file = None;
        self.orders.send_replace(Order::Drain(deadline));
        self.join(deadline)
    }

    fn join(&mut self, deadline: Instant) -> bool {
        // Every worker is waited for, also after one has failed to finish.
        self.workers
            .drain(..)
            .map(|worker| worker.join(deadline + JOIN_TIMEOUT))
            .fold(true, |all, one| all & one)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.orders.send_replace(Order::Abort);
        self.join(Instant::now());
    }
}
