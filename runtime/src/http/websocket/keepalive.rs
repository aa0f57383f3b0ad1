//! Pings, and what becomes of a client that does not answer them.

use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep_until, Instant, Sleep};

use super::link::Link;

/// What the client is told that is taken for gone, as by uvicorn.
pub(super) const UNANSWERED: &str = "keepalive ping timeout";

/// The pings of one WebSocket.
pub(super) struct Keepalive {
    interval: Duration,
    /// How long the client may be silent after a ping.
    timeout: Option<Duration>,
    /// When a ping was sent that has not been answered.
    asked: Option<Instant>,
    /// When the next ping is due.
    next: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What is to be done now.
pub(super) enum Beat {
    Ping,
    /// The client is taken for gone.
    Lost,
}

impl Keepalive {
    /// Begins with an interval; on the I/O worker.
    pub(super) fn new(interval: Duration, timeout: Option<Duration>) -> Keepalive {
        let next = after(Instant::now(), interval);
        Keepalive { interval, timeout, asked: None, next, timer: Box::pin(sleep_until(next)) }
    }

    pub(super) fn poll(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<Beat> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if let Some(asked) = self.asked {
                let deadline = self.timeout.map(|timeout| after(asked, timeout));
                // While nobody reads, an answer is not seen.
                if link.may_have_heard() {
                    self.asked = None;
                } else if let Some(deadline) = deadline {
                    if now >= deadline {
                        return Poll::Ready(Beat::Lost);
                    }
                    self.timer.as_mut().reset(deadline);
                    continue;
                }
            }
            if now < self.next {
                self.timer.as_mut().reset(self.next);
                continue;
            }
            link.ask();
            self.asked = Some(now);
            self.next = after(now, self.interval);
            let look = self.timeout.map_or(self.next, |timeout| self.next.min(after(now, timeout)));
            self.timer.as_mut().reset(look);
            return Poll::Ready(Beat::Ping);
        }
    }
}

/// A time that is too far away to be one is never.
fn after(from: Instant, duration: Duration) -> Instant {
    from.checked_add(duration).unwrap_or_else(|| from + Duration::from_secs(86_400 * 365 * 30))
}
