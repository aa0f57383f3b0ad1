//! A body that is encoded while it is sent.

use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::coding::Encoder;
use crate::http::ByteStream;
use crate::Error;

/// How much is compressed before others on the thread have their turn.
const SLICE: usize = 32 * 1024;

/// A compressed body that is made while it is sent. Large parts are compressed slice by slice, and between two slices
/// other tasks of the thread have their turn.
pub(super) struct EncodedStream {
    encoder: Encoder,
    /// What is taken and not compressed yet.
    input: Bytes,
    /// Where more comes from. Each of its parts is flushed.
    source: Option<ByteStream>,
    /// Whether a slice was compressed in this turn.
    worked: bool,
    ended: bool,
}

impl EncodedStream {
    /// Of a body that is there.
    pub(super) fn of_bytes(encoder: impl Into<Encoder>, input: Bytes) -> EncodedStream {
        EncodedStream { encoder: encoder.into(), input, source: None, worked: false, ended: false }
    }

    /// Of a body that comes in parts.
    pub(super) fn of_stream(encoder: impl Into<Encoder>, source: ByteStream) -> EncodedStream {
        EncodedStream { source: Some(source), ..EncodedStream::of_bytes(encoder, Bytes::new()) }
    }
}

impl Stream for EncodedStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if !this.input.is_empty() {
                if std::mem::replace(&mut this.worked, true) {
                    this.worked = false;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let slice = this.input.split_to(this.input.len().min(SLICE));
                let flush = this.input.is_empty() && this.source.is_some();
                let out = if flush { this.encoder.flushed(&slice) } else { this.encoder.part(&slice) };
                if !out.is_empty() {
                    return Poll::Ready(Some(Ok(out.into())));
                }
                continue;
            }
            let Some(source) = &mut this.source else {
                let last = !std::mem::replace(&mut this.ended, true);
                return Poll::Ready(last.then(|| Ok(this.encoder.finished(b"").into())));
            };
            match ready!(source.as_mut().poll_next(cx)) {
                Some(Ok(part)) => this.input = part,
                Some(Err(error)) => {
                    // Without its end the client sees that the body was cut.
                    (this.source, this.ended) = (None, true);
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.source = None,
            }
        }
    }
}

#[cfg(test)]
#[path = "encoded_stream_tests.rs"]
mod tests;
