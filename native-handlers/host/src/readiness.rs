//! What a server tells its readiness probe.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ServerState {
    /// It does not take requests of the application yet.
    Starting = bimetal_abi::SERVER_STARTING,
    /// It takes requests.
    Ready = bimetal_abi::SERVER_READY,
    /// It finishes what it has and ends.
    Draining = bimetal_abi::SERVER_DRAINING,
}

/// The state of one server, shared with the handlers bound for it. Clones share; it starts as [`ServerState::Starting`].
///
/// ```
/// use bimetal_host::{Readiness, ServerState};
///
/// let readiness = Readiness::default();
/// readiness.clone().set(ServerState::Ready);
/// assert_eq!(readiness.get(), ServerState::Ready);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU32>);

impl Readiness {
    /// Says where the server is now.
    pub fn set(&self, state: ServerState) {
        self.0.store(state as u32, Ordering::Release);
    }

    /// Where the server is.
    pub fn get(&self) -> ServerState {
        match self.0.load(Ordering::Acquire) {
            bimetal_abi::SERVER_READY => ServerState::Ready,
            bimetal_abi::SERVER_DRAINING => ServerState::Draining,
            _ => ServerState::Starting,
        }
    }
}
