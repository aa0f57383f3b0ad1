//! The listening socket.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

use super::socket_file::{self, SocketFile};
use crate::http::Address;
use crate::{Config, Error, ErrorKind};

/// A bound socket for clients to connect to, which does not listen yet. The file of a Unix socket that was bound here goes
/// with it.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    pub(super) address: Address,
    pub(super) file: Option<SocketFile>,
}

impl Listener {
    /// Binds the Unix socket that `config` names, or else its host and port: the first address that the host name stands for
    /// and that can be bound. An error of kind `Bind` names the address.
    pub fn bind(config: &Config) -> Result<Listener, Error> {
        match &config.uds {
            Some(path) => bind_unix(path),
            None => bind_inet(config),
        }
    }

    /// Takes a socket that is bound already, for instance one that several processes share. The file of a Unix socket is left
    /// to whoever has bound it. An error of kind `Bind` when it is no TCP or Unix socket that can listen.
    pub fn from_socket(socket: impl Into<OwnedFd>) -> Result<Listener, Error> {
        let socket = Socket::from(socket.into());
        let unfit = |why: String| Error::new(ErrorKind::Bind, format!("cannot listen on the socket: {why}"));
        let failed = |error: io::Error| unfit(error.to_string()).with_cause(error);
        if socket.r#type().map_err(failed)? != Type::STREAM {
            return Err(unfit("it is no TCP or Unix stream socket".to_owned()));
        }
        let bound = socket.local_addr().map_err(failed)?;
        let address = match bound.as_socket() {
            Some(address) => Address::Inet(address),
            None if bound.domain() == Domain::UNIX => {
                Address::Unix(bound.as_pathname().unwrap_or(Path::new("")).into())
            }
            None => return Err(unfit("it is no TCP or Unix stream socket".to_owned())),
        };
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Listener { socket, address, file: None })
    }

    /// The bound address.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn bind_inet(config: &Config) -> Result<Listener, Error> {
    let shown = display(&config.host, config.port);
    let addresses = (config.host.as_str(), config.port).to_socket_addrs().map_err(|error| {
        Error::new(
            ErrorKind::Bind,
            format!(
                "cannot listen on {shown}: the host name cannot be resolved (choose an address of this machine \
                 with --host)"
            ),
        )
        .with_cause(error)
    })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match bind_one(address) {
            Ok(socket) => {
                let bound = socket.local_addr().map_err(|error| bind_error(&shown, error))?;
                let address = Address::Inet(bound.as_socket().unwrap_or(address));
                return Ok(Listener { socket, address, file: None });
            }
            Err(error) => last = error,
        }
    }
    Err(bind_error(&shown, last))
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a previous server in TIME_WAIT do not keep the port; a listening one does.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path) -> Result<Listener, Error> {
    let (socket, file) = socket_file::bind(path).map_err(|why| {
        let message = format!("cannot listen on unix:{}: {why}", path.display());
        match why {
            socket_file::Obstacle::Io(error) => Error::new(ErrorKind::Bind, message).with_cause(error),
            _ => Error::new(ErrorKind::Bind, message),
        }
    })?;
    Ok(Listener { socket, address: Address::Unix(path.into()), file: Some(file) })
}

/// Why the address cannot be listened on, and what to do.
pub(super) fn bind_error(address: &str, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "address already in use (another process has the port; choose another with --port, or 0 for any \
             free one)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied (ports below 1024 need privileges; choose a higher one with --port)".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address (choose one it has with --host, or 0.0.0.0 for all of them)"
                .to_owned()
        }
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Bind, format!("cannot listen on {address}: {why}")).with_cause(error)
}

fn display(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
