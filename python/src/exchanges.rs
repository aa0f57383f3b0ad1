//! Which clients have a request running in Python, for a test client that waits until all of it has been done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Requests running in Python, by the client's port.
#[derive(Default)]
pub(crate) struct Exchanges {
    running: Mutex<HashMap<u16, usize>>,
    ended: Condvar,
}

/// One running request. Dropped when nothing of it runs any more.
pub(crate) struct Exchange {
    exchanges: Arc<Exchanges>,
    port: u16,
}

impl Exchanges {
    /// Notes that a request of the client at `port` begins.
    pub(crate) fn begin(self: &Arc<Self>, port: u16) -> Exchange {
        *self.running.lock().entry(port).or_default() += 1;
        Exchange { exchanges: Arc::clone(self), port }
    }

    /// Waits until the client at `port` has no request running; false when `limit` passed first.
    pub(crate) fn wait_idle(&self, port: u16, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut running = self.running.lock();
        while running.contains_key(&port) {
            if self.ended.wait_until(&mut running, deadline).timed_out() {
                return !running.contains_key(&port);
            }
        }
        true
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut running = self.exchanges.running.lock();
        if let Some(count) = running.get_mut(&self.port) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.port);
                self.exchanges.ended.notify_all();
            }
        }
    }
}
