//! A connection of which something has been read already, to see what is spoken on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::Stream;

/// A stream, and what has been read of it and comes first.
pub(crate) struct Early {
    read: BytesMut,
    stream: Stream,
}

impl From<Stream> for Early {
    fn from(stream: Stream) -> Self {
        Early { read: BytesMut::new(), stream }
    }
}

impl Early {
    pub(crate) fn get_ref(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn into_parts(self) -> (BytesMut, Stream) {
        (self.read, self.stream)
    }

    /// Whether the first bytes are these. Reads no more than it takes to know.
    pub(crate) async fn begins_with(&mut self, expected: &[u8]) -> io::Result<bool> {
        while self.read.len() < expected.len() {
            let more = expected.len() - self.read.len();
            let count = (&mut self.stream).take(more as u64).read_buf(&mut self.read).await?;
            if count == 0 || !expected.starts_with(&self.read) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl AsyncRead for Early {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let length = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..length]);
        this.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Early {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
