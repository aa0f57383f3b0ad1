//! A response that comes in chunks: a plugin's stream as the runtime's.

use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};

use bimetal_abi::{BmChunk, BmSlice, RESULT_ABSENT, RESULT_FAILED, RESULT_OK, RESULT_PANIC, RESULT_PENDING};
use bimetal_runtime::{Error, ErrorKind};
use bytes::Bytes;
use futures_core::Stream;

use super::response::{OwnedBody, Release};
use super::{table, Bound};
use crate::host::Counters;
use crate::plugin::{NextFn, Plugin};

/// Chunks up to this size are copied: cheaper than keeping the plugin's memory until it has been sent.
const COPIED: usize = 1024;

/// The body of one response. Fields are dropped in this order: the generation is there until its stream has ended.
pub(super) struct PluginStream {
    /// `None` once there is nothing more to ask for.
    next: Option<NextFn>,
    release: Release,
    handler: usize,
    counters: Arc<Counters>,
    plugin: Arc<Plugin>,
}

impl PluginStream {
    /// The stream behind `release`; without `next` one that has ended.
    pub(super) fn new(next: Option<NextFn>, release: Release, bound: &Bound) -> PluginStream {
        PluginStream {
            next,
            release,
            handler: bound.index,
            counters: Arc::clone(&bound.counters),
            plugin: Arc::clone(&bound.plugin),
        }
    }

    /// The chunk as bytes, if it is valid.
    fn bytes(&self, bytes: BmSlice, release: Release) -> Option<Bytes> {
        // SAFETY: the plugin says that so many bytes are there, until `release` or for good.
        let chunk: &'static [u8] = unsafe { bytes.bytes() }?;
        Some(if release.is_none() {
            Bytes::from_static(chunk)
        } else if chunk.len() <= COPIED {
            Bytes::copy_from_slice(chunk)
        } else {
            Bytes::from_owner(OwnedBody::new(bytes, release, &self.plugin))
        })
    }

    /// The end that the client must not take for one. The runtime cuts the connection, and logs this with the route.
    fn broken(&mut self, counter: impl FnOnce(&Counters) -> &AtomicU64, what: &str) -> Error {
        self.next = None;
        counter(&self.counters).fetch_add(1, Ordering::Relaxed);
        let handler = &self.plugin.handlers[self.handler].info;
        Error::new(
            ErrorKind::Handler,
            format!("the response stream of native handler `{}` {what}", handler.name),
        )
    }
}

impl Stream for PluginStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(next) = this.next else { return Poll::Ready(None) };
        let waker = table::borrow_waker(cx.waker());
        let mut chunk = BmChunk {
            size: size_of::<BmChunk>() as u32,
            reserved: 0,
            bytes: BmSlice::EMPTY,
            owner: ptr::null_mut(),
            release: None,
        };
        // SAFETY: the plugin's function with its own pointer, which is not released; waker and chunk live through the call.
        // The stream is borrowed exclusively, so there is no second call.
        let result = unsafe { next(this.release.owner(), &waker, &mut chunk) };
        if result == RESULT_PENDING {
            return Poll::Pending;
        }
        let BmChunk { bytes, owner, release, .. } = chunk;
        let error = match result {
            RESULT_OK => match this.bytes(bytes, Release::new(owner, release)) {
                Some(bytes) => return Poll::Ready(Some(Ok(bytes))),
                None => this.broken(|counters| &counters.bad_responses, "gave a null pointer with a length"),
            },
            RESULT_ABSENT => {
                this.next = None;
                return Poll::Ready(None);
            }
            RESULT_FAILED => {
                let _release = Release::new(owner, release);
                // SAFETY: the plugin keeps the text until `release`, which is called at the end of this block.
                let reason = unsafe { bytes.text() }.filter(|reason| !reason.is_empty());
                let reason = reason.unwrap_or("it gives no reason").to_owned();
                this.broken(|counters| &counters.failed_streams, &format!("failed: {reason}"))
            }
            RESULT_PANIC => this.broken(|counters| &counters.panics, "panicked"),
            other => this.broken(
                |counters| &counters.bad_responses,
                &format!("returned {other}, which means nothing"),
            ),
        };
        Poll::Ready(Some(Err(error)))
    }
}
