//! What comes before HTTP on a connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::worker::Worker;
use crate::http::{proxy_protocol, Connection, Early, Stream};
use crate::Config;

/// What a client begins with that speaks HTTP/2 without having agreed on it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether anything comes before HTTP.
pub(super) fn is_needed(config: &Config) -> bool {
    config.tls.is_some() || config.proxy_protocol || config.http2
}

/// A connection on which HTTP begins.
pub(super) struct Opened {
    pub(super) stream: Early,
    pub(super) peer: Option<SocketAddr>,
    pub(super) is_http2: bool,
}

/// Lets a proxy say who the client is, shakes hands, and finds out which HTTP is spoken, as far as the connections of the worker
/// want it. A client that takes too long gets an error, and so does one that is not ready when the server stops.
pub(super) async fn open(
    worker: &Worker,
    connection: &Connection,
    stream: Stream,
    peer: Option<SocketAddr>,
) -> io::Result<Opened> {
    let config = worker.config();
    let opened = async {
        let ready = async {
            let (stream, peer) = introduce(config, connection, stream, peer).await?;
            io::Result::Ok((shake_hands(worker, stream).await?, peer))
        };
        let (stream, peer) = within(config.handshake_timeout, ready).await?;
        let mut stream = Early::from(stream);
        let is_http2 = match stream.get_ref().agreed_on_http2() {
            _ if !config.http2 => false,
            Some(agreed) => agreed,
            None => within(config.head_timeout, stream.begins_with(PREFACE)).await?,
        };
        Ok(Opened { stream, peer, is_http2 })
    };
    tokio::select! {
        biased;
        opened = opened => opened,
        () = connection.drained() => Err(io::Error::other("the server stops")),
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
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
