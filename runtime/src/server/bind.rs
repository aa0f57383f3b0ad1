//! The listening socket.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Config, Error, ErrorKind};

/// Binds the configured address: the first that the host name stands for and that can be bound.
pub(super) fn bind(config: &Config) -> Result<(Socket, SocketAddr), Error> {
    let failed = |error| bind_error(&config.host, config.port, error);
    let addresses = (config.host.as_str(), config.port).to_socket_addrs().map_err(|error| {
        let shown = display(&config.host, config.port);
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
                let bound = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
                return Ok((socket, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a previous server in TIME_WAIT do not keep the port; a listening one does.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Why the address cannot be listened on, and what to do.
pub(super) fn bind_error(host: &str, port: u16, error: io::Error) -> Error {
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
    Error::new(ErrorKind::Bind, format!("cannot listen on {}: {why}", display(host, port))).with_cause(error)
}

fn display(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
