//! What comes before HTTP on a connection.

use std::io;
use std::net::SocketAddr;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::worker::Worker;
use crate::http::{proxy_protocol, Connection, Stream};
use crate::Config;

/// Whether anything comes before HTTP.
pub(super) fn is_needed(config: &Config) -> bool {
    config.tls.is_some() || config.proxy_protocol
}

/// Lets a proxy say who the client is, and shakes hands, as far as the connections of the worker want it; the stream then, and
/// the client's address. A client that takes too long gets an error, and so does one that is not ready when the server stops.
pub(super) async fn open(
    worker: &Worker,
    connection: &Connection,
    stream: Stream,
    peer: Option<SocketAddr>,
) -> io::Result<(Stream, Option<SocketAddr>)> {
    let opened = timeout(worker.config().handshake_timeout, async {
        let (stream, peer) = introduce(worker.config(), connection, stream, peer).await?;
        Ok((shake_hands(worker, stream).await?, peer))
    });
    tokio::select! {
        biased;
        opened = opened => opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        () = connection.drained() => Err(io::Error::other("the server stops")),
    }
}

async fn introduce(
    config: &Config,
    connection: &Connection,
    mut stream: Stream,
    peer: Option<SocketAddr>,
) -> io::Result<(Stream, Option<SocketAddr>)> {
    if !config.proxy_protocol || !config.trusted_proxies.trust_peer(peer.map(|peer| peer.ip())) {
        return Ok((stream, peer));
    }
    let ends = proxy_protocol::read(&mut stream).await.inspect_err(|error| {
        // One that says nothing at all only looks whether the port is open.
        if error.kind() == io::ErrorKind::InvalidData {
            tracing::warn!(?peer, %error, "a trusted proxy does not say who its client is; the connection is closed");
        }
    })?;
    Ok(match ends {
        Some(ends) => {
            connection.set_address_at_proxy(ends.server.into());
            (stream, Some(ends.client))
        }
        None => (stream, peer),
    })
}

async fn shake_hands(worker: &Worker, stream: Stream) -> io::Result<Stream> {
    let Some(secured) = worker.secured() else { return Ok(stream) };
    let stream = TlsAcceptor::from(secured.current()).accept(stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}
