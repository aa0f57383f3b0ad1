//! How much memory workers may have.

use std::hash::{BuildHasher, RandomState};

use super::super::MaxMemory;
use super::{Crew, Id, State};

impl Crew {
    /// A worker has so much memory when it begins to serve.
    pub(in crate::supervisor) fn begins_with(&mut self, id: Id, bytes: u64) {
        let Some(member) = self.member(id) else { return };
        if let Some(limit) = member.memory.take_if(|limit| bytes > *limit) {
            // Another one would begin with as much.
            tracing::error!(
                target: "bimetal::supervisor",
                worker = id,
                "a worker has {} MiB when it begins to serve, and --max-memory leaves it {} MiB: the limit does not hold for it",
                mebibytes(bytes), mebibytes(limit)
            );
        }
    }

    /// A worker has so much memory.
    pub(in crate::supervisor) fn has(&mut self, id: Id, bytes: u64) {
        let Some(member) = self.member(id) else { return };
        let serves = matches!(member.state, State::Serving { .. }) && !member.leaving;
        let Some(limit) = member.memory.filter(|limit| serves && bytes > *limit) else { return };
        self.asks_to_leave(id);
        if self.member(id).is_some_and(|member| member.leaving) {
            tracing::info!(
                target: "bimetal::supervisor",
                worker = id,
                "a worker has grown to {} MiB, more than {} MiB (--max-memory); another one takes its place",
                mebibytes(bytes), mebibytes(limit)
            );
        }
    }
}

impl MaxMemory {
    /// What a worker may have: as much as all, and a part of the jitter that is its own.
    pub(super) fn of(self, id: Id) -> u64 {
        let chance = RandomState::new().hash_one(id);
        self.bytes + if self.jitter == 0 { 0 } else { chance % (self.jitter + 1) }
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}
