//! The listening socket, as a worker accepts from it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{ready, Context, Poll};

use socket2::{Domain, Socket};
use tokio::net::{TcpListener, UnixListener};

use crate::http::{Address, Stream};

/// What a worker accepts from; on its runtime.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener, Address),
}

/// A connection, and the addresses of its ends.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<Address>,
}

impl Acceptor {
    pub(super) fn new(socket: Socket) -> io::Result<Acceptor> {
        let bound = socket.local_addr()?;
        if bound.domain() != Domain::UNIX {
            return Ok(Acceptor::Tcp(TcpListener::from_std(socket.into())?));
        }
        let path = bound.as_pathname().unwrap_or(Path::new("")).into();
        Ok(Acceptor::Unix(UnixListener::from_std(socket.into())?, Address::Unix(path)))
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        Poll::Ready(Ok(match self {
            Acceptor::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                // Responses are written whole, so there is nothing to gain by waiting for more.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().ok().map(Address::Inet);
                Accepted { stream: Stream::Tcp(stream), peer: Some(peer), local }
            }
            Acceptor::Unix(listener, address) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Accepted { stream: Stream::Unix(stream), peer: None, local: Some(address.clone()) }
            }
        }))
    }
}
