//! All workers, as the probes on an address of their own see them.

use std::time::Duration;

use tokio::time::timeout;

use super::{Gathered, Handle};
use crate::probes::{Later, Readiness, Source};

/// How long the supervisor may take to answer. It waits half a second for its workers.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a supervisor knows of its workers.
#[derive(Clone, Debug)]
pub struct Overview {
    handle: Handle,
}

impl Overview {
    /// That of the supervisor that `handle` belongs to.
    pub fn new(handle: Handle) -> Overview {
        Overview { handle }
    }

    fn gathered(&self) -> Later<Option<Gathered>> {
        let gathered = self.handle.gather();
        Box::pin(async move { timeout(PATIENCE, gathered).await.ok()?.ok() })
    }
}

impl Source for Overview {
    fn started(&self) -> Later<bool> {
        let gathered = self.gathered();
        Box::pin(async move { gathered.await.is_some_and(|gathered| gathered.started) })
    }

    fn readiness(&self) -> Later<Readiness> {
        let gathered = self.gathered();
        Box::pin(async move {
            gathered.await.map_or_else(
                || Readiness { ready: false, json: "{\"status\":\"silent\"}".to_owned() },
                |gathered| gathered.readiness,
            )
        })
    }

    fn metrics(&self) -> Later<Option<String>> {
        let gathered = self.gathered();
        Box::pin(async move { Some(gathered.await?.figures) })
    }

    fn routes(&self) -> Later<Option<String>> {
        let gathered = self.gathered();
        Box::pin(async move { Some(gathered.await?.routes) })
    }
}
