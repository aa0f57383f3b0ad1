//! Bytes into gzip: at once, in pieces, or as a stream.

use std::io::Write;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_core::Stream;

use crate::http::ByteStream;
use crate::Error;

/// How much is compressed before others on the thread have their turn.
pub(super) const SLICE: usize = 32 * 1024;

/// A body that is being compressed.
///
/// ```
/// use bimetal_runtime::edge::Gzip;
///
/// let mut gzip = Gzip::new(9);
/// let mut sent = gzip.flushed(b"the first part, ");
/// sent.extend(gzip.finished(b"and the last"));
/// assert_eq!(sent[..2], [0x1f, 0x8b]);
/// ```
pub struct Gzip {
    /// `None` once finished.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    /// `level` as in zlib: 0 (stored) to 9 (smallest).
    pub fn new(level: u32) -> Gzip {
        Gzip { encoder: Some(GzEncoder::new(Vec::new(), flate2::Compression::new(level.min(9)))) }
    }

    /// Compresses a part, so that a client can read all of it.
    pub fn flushed(&mut self, part: &[u8]) -> Vec<u8> {
        self.step(part, true)
    }

    /// Compresses the last part; nothing comes after it.
    pub fn finished(&mut self, part: &[u8]) -> Vec<u8> {
        let mut all = self.step(part, false);
        if let Some(encoder) = self.encoder.take() {
            let rest = encoder.finish().expect("writing to memory does not fail");
            if all.is_empty() {
                return rest;
            }
            all.extend(rest);
        }
        all
    }

    /// Compresses a part; what comes of it may come later.
    fn part(&mut self, part: &[u8]) -> Vec<u8> {
        self.step(part, false)
    }

    fn step(&mut self, part: &[u8], flush: bool) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return Vec::new() };
        let written = encoder.write_all(part).and_then(|()| if flush { encoder.flush() } else { Ok(()) });
        written.expect("writing to memory does not fail");
        std::mem::take(encoder.get_mut())
    }
}

/// A compressed body that is made while it is sent. Large parts are compressed slice by slice, and between two slices
/// other tasks of the thread have their turn.
pub(super) struct GzipStream {
    gzip: Gzip,
    /// What is taken and not compressed yet.
    input: Bytes,
    /// Where more comes from. Each of its parts is flushed.
    source: Option<ByteStream>,
    /// Whether a slice was compressed in this turn.
    worked: bool,
    ended: bool,
}

impl GzipStream {
    /// Of a body that is there.
    pub(super) fn of_bytes(level: u32, input: Bytes) -> GzipStream {
        GzipStream { gzip: Gzip::new(level), input, source: None, worked: false, ended: false }
    }

    /// Of a body that comes in parts.
    pub(super) fn of_stream(level: u32, source: ByteStream) -> GzipStream {
        GzipStream { source: Some(source), ..GzipStream::of_bytes(level, Bytes::new()) }
    }
}

impl Stream for GzipStream {
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
                let out = if flush { this.gzip.flushed(&slice) } else { this.gzip.part(&slice) };
                if !out.is_empty() {
                    return Poll::Ready(Some(Ok(out.into())));
                }
                continue;
            }
            let Some(source) = &mut this.source else {
                let last = !std::mem::replace(&mut this.ended, true);
                return Poll::Ready(last.then(|| Ok(this.gzip.finished(b"").into())));
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
#[path = "gzip_tests.rs"]
mod tests;
