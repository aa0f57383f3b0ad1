//! What comes before HTTP on a connection.

use std::io;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::worker::Worker;
use crate::http::{Connection, Stream};

/// Shakes hands, as far as the connections of the worker want it. A client that takes too long gets an error, and so does one
/// that is not ready when the server stops.
pub(super) async fn open(worker: &Worker, connection: &Connection, stream: Stream) -> io::Result<Stream> {
    let opened = timeout(worker.config().handshake_timeout, shake_hands(worker, stream));
    tokio::select! {
        biased;
        opened = opened => opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        () = connection.drained() => Err(io::Error::other("the server stops")),
    }
}

async fn shake_hands(worker: &Worker, stream: Stream) -> io::Result<Stream> {
    let Some(secured) = worker.secured() else { return Ok(stream) };
    let stream = TlsAcceptor::from(secured.current()).accept(stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}
