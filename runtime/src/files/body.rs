//! Parts of a file on their way to a client.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::oneshot;
use tokio::time::Timeout;

use super::disk::{OpenFile, CHUNK};
use super::root::{Miss, Patience};
use crate::http::ByteStream;
use crate::{Error, ErrorKind};

/// What a body is made of.
pub(super) enum Part {
    /// These bytes.
    Text(Bytes),
    /// These of the file.
    Span(Range<u64>),
}

/// A chunk that a thread reads, for as long as a disk may take.
type Reading = Pin<Box<Timeout<oneshot::Receiver<Result<Bytes, Miss>>>>>;

/// A body that is read while it is sent: a chunk when the client has taken the last one.
pub(super) struct FileBody {
    file: Arc<OpenFile>,
    parts: VecDeque<Part>,
    reading: Option<Reading>,
    /// For the log.
    name: String,
}

impl FileBody {
    /// `parts`, one after the other.
    pub(super) fn stream(file: OpenFile, parts: impl Into<VecDeque<Part>>, name: String) -> ByteStream {
        Box::pin(FileBody { file: Arc::new(file), parts: parts.into(), reading: None, name })
    }

    fn cut(&mut self, what: &str) -> Poll<Option<Result<Bytes, Error>>> {
        self.parts.clear();
        let message = format!("the file {} {what} while it was sent", self.name);
        Poll::Ready(Some(Err(Error::new(ErrorKind::Handler, message))))
    }

    fn take(&mut self, read: Result<Bytes, Miss>) -> Poll<Option<Result<Bytes, Error>>> {
        match read {
            Ok(chunk) => {
                if let Some(Part::Span(span)) = self.parts.front_mut() {
                    span.start += chunk.len() as u64;
                    if span.is_empty() {
                        self.parts.pop_front();
                    }
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Err(Miss::Changed) => self.cut("became shorter"),
            Err(miss) => self.cut(&format!("could not be read ({miss:?})")),
        }
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(reading) = &mut this.reading {
            let read = ready!(reading.as_mut().poll(cx));
            this.reading = None;
            return match read {
                Ok(Ok(read)) => this.take(read),
                // Whoever should have read it is gone: the server ends.
                Ok(Err(_)) => this.cut("was given up"),
                Err(_) => this.cut("was not read in time"),
            };
        }
        let (start, length) = match this.parts.front_mut() {
            None => return Poll::Ready(None),
            Some(Part::Text(text)) => {
                let text = std::mem::take(text);
                this.parts.pop_front();
                return Poll::Ready(Some(Ok(text)));
            }
            Some(Part::Span(span)) => (span.start, (span.end - span.start).min(CHUNK as u64) as usize),
        };
        match this.file.read(start, length, Patience::Cached) {
            Err(Miss::NotNow) => {}
            read => return this.take(read),
        }
        let file = Arc::clone(&this.file);
        let disk = &this.file.disk;
        match disk.run(move || file.read(start, length, Patience::Waits)) {
            Ok(receiver) => {
                this.reading = Some(Box::pin(tokio::time::timeout(disk.patience(), receiver)));
                Pin::new(this).poll_next(cx)
            }
            Err(_) => this.cut("could not be read, too many requests wait for disks"),
        }
    }
}
