//! Requests that no lane records, for whoever makes spans of them.
//!
//! What an application records of its requests is its own business, and done by its lane. What it never hears of, native routes and
//! answers of the edge, is noted here: on the I/O worker, into a queue that never makes it wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::http::{Head, Request, StatusCode};
use crate::lane::LaneKind;

/// Spans that may wait to be taken; those beyond are dropped, and counted.
const WAITING: usize = 4096;

/// One request and how it ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// What the client sent.
    pub head: Head,
    /// The pattern of the route that answered; none where it was answered before it came to that, or by the whole application.
    pub route: Option<String>,
    /// None where the client went away before there was a response.
    pub status: Option<StatusCode>,
    /// When the head was there.
    pub began: SystemTime,
    /// From there to the end of the response.
    pub took: Duration,
}

/// The end of the queue at which spans go in. Clones share.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: SyncSender<Span>,
    dropped: Arc<AtomicU64>,
    /// Whether there are spans of requests on the lanes of Python, too.
    all_lanes: bool,
}

/// Spans that nobody took in time. Keeps no queue open.
#[derive(Clone, Debug)]
pub struct Dropped(Arc<AtomicU64>);

impl Dropped {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The end at which they come out.
#[derive(Debug)]
pub struct Spans {
    receiver: Receiver<Span>,
}

/// A queue of spans: of native routes and of what is answered without a route; with `all_lanes` of all requests.
///
/// ```
/// use std::time::Duration;
/// use bimetal_runtime::spans;
///
/// let (recorder, spans) = spans::queue(false);
/// assert_eq!(recorder.dropped().count(), 0);
/// assert!(spans.take(Duration::ZERO).is_some_and(|taken| taken.is_empty()));
/// drop(recorder);
/// assert!(spans.take(Duration::ZERO).is_none());
/// ```
pub fn queue(all_lanes: bool) -> (Recorder, Spans) {
    let (sender, receiver) = sync_channel(WAITING);
    (Recorder { sender, dropped: Arc::default(), all_lanes }, Spans { receiver })
}

impl Recorder {
    /// Counts the spans that nobody took in time.
    pub fn dropped(&self) -> Dropped {
        Dropped(Arc::clone(&self.dropped))
    }

    /// Whether requests on this lane are to be recorded.
    pub(crate) fn wants(&self, lane: LaneKind) -> bool {
        self.all_lanes || lane == LaneKind::Native
    }

    fn record(&self, span: Span) {
        // Without a receiver the server is ending, or whoever made the queue has given it up.
        if let Err(TrySendError::Full(_)) = self.sender.try_send(span) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Spans {
    /// All that there are, after waiting for the first of them; nothing after `patience`. None once every recorder is gone.
    pub fn take(&self, patience: Duration) -> Option<Vec<Span>> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.receiver.recv_timeout(patience) {
            Ok(first) => Some([first].into_iter().chain(self.receiver.try_iter()).collect()),
            Err(Timeout) => Some(Vec::new()),
            Err(Disconnected) => None,
        }
    }
}

/// A request that is recorded and has not ended.
pub(crate) struct OpenSpan {
    head: Head,
    began: SystemTime,
}

impl OpenSpan {
    /// `since` is how long ago the request began.
    pub(crate) fn new(request: &Request, since: Duration) -> OpenSpan {
        let now = SystemTime::now();
        OpenSpan { head: request.to_head(), began: now.checked_sub(since).unwrap_or(now) }
    }

    /// The request has ended.
    pub(crate) fn end(
        self,
        recorder: &Recorder,
        route: Option<String>,
        status: Option<StatusCode>,
        took: Duration,
    ) {
        let OpenSpan { head, began } = self;
        recorder.record(Span { head, route, status, began, took });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;

    use super::{queue, OpenSpan, WAITING};
    use crate::http::{Method, Request, StatusCode};

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let (recorder, spans) = queue(false);
        let request = Request::synthetic(Method::GET, "/a?b=c", &[("host", "x")], Bytes::new());
        for _ in 0..WAITING + 3 {
            let open = OpenSpan::new(&request, Duration::from_secs(1));
            open.end(&recorder, Some("/a".to_owned()), Some(StatusCode::OK), Duration::from_secs(2));
        }
        assert_eq!(recorder.dropped().count(), 3);
        let taken = spans.take(Duration::ZERO).unwrap();
        assert_eq!(taken.len(), WAITING);
        let span = &taken[0];
        assert_eq!((span.head.path.as_str(), span.head.query.as_str()), ("/a", "b=c"));
        assert_eq!((span.route.as_deref(), span.status), (Some("/a"), Some(StatusCode::OK)));
        assert!(span.began < SystemTime::now() && span.took == Duration::from_secs(2));
        drop(recorder);
        assert!(spans.take(Duration::ZERO).is_none());
    }
}
