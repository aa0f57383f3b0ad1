//! The numbers of many clients in memory of a fixed size, which threads and processes can share.
//!
//! A slot is 128 bits, changed by one compare-and-swap: the hash of a client, and when its quota is whole. A client belongs into one of the eight
//! slots of its set. One that has none takes the slot whose quota is whole first, and goes on where that one stands:
//!
//! - Where the quota is whole already, which is the case for every client that has been silent for long enough, and for empty slots, that is what
//!   a new client has. Nothing has to be swept.
//! - Where it is not, because eight other clients are at it, the new one begins with what the least of them owes. It is never counted too
//!   little: the one that has lost its slot will find another one that owes as much.
//!
//! So no client ever gets more than its rate, however many there are, and a flood of clients costs no memory.
//!
//! Why two threads cannot give a client two slots: the number in a slot only ever rises, and who looks for a slot takes the lowest number, the
//! first of several. For both to have found different ones, one of them must have read the slot of the other before and after it
//! was taken.

use std::hash::BuildHasher;
use std::hash::{DefaultHasher, Hasher, RandomState};
use std::sync::atomic::Ordering::SeqCst;

use super::{Clock, Rate, Standing};

#[cfg(bimetal_loom)]
use model::AtomicU128;
#[cfg(not(bimetal_loom))]
use portable_atomic::AtomicU128;

/// Slots that a client can have.
const WAYS: usize = 8;

/// Sets of a table that processes share, the first of which holds its seed.
pub const SHARED_SETS: usize = 1 << 17;

/// The bytes of memory that they need.
pub const SHARED_SIZE: usize = SHARED_SETS * size_of::<Set>();

/// Eight clients, in two cache lines. All bits zero: none.
#[repr(C, align(128))]
pub struct Set([AtomicU128; WAYS]);

impl Default for Set {
    fn default() -> Self {
        Set(std::array::from_fn(|_| AtomicU128::new(0)))
    }
}

/// The numbers of clients, by the hash of who they are.
pub struct Table {
    sets: Sets,
    /// Nobody outside can tell which clients share a set.
    seed: u128,
    clock: Clock,
}

enum Sets {
    Own(Box<[Set]>),
    Shared(&'static [Set]),
}

impl Table {
    /// A table of this process alone, for `clients` at a time; there is room for twice as many.
    pub fn new(clients: usize) -> Table {
        let sets = clients.max(1).saturating_mul(2).div_ceil(WAYS);
        Table {
            sets: Sets::Own((0..sets).map(|_| Set::default()).collect()),
            seed: Table::random_seed(),
            // Never 0: an empty slot lies in the past.
            clock: Clock::starting_at(1),
        }
    }

    /// A table in memory that other processes have as well. The first bytes of it are the seed, which whoever made the memory has written there
    /// before; all others were zero. `clock` has to agree with those of the other processes.
    ///
    /// `None` where the memory is too small, and on machines where processes cannot share it without a lock.
    pub fn shared(memory: &'static [Set], clock: Clock) -> Option<Table> {
        let (first, sets) = memory.split_first()?;
        if sets.is_empty() || !is_lock_free() {
            return None;
        }
        Some(Table { seed: first.0[0].load(SeqCst), sets: Sets::Shared(sets), clock })
    }

    /// A seed that nobody can guess.
    pub fn random_seed() -> u128 {
        let half = || u128::from(RandomState::new().build_hasher().finish());
        half() << 64 | half()
    }

    /// What stands for the client `who` of the limit `of`.
    pub(crate) fn hash(&self, of: &str, who: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.seed);
        hasher.write(of.as_bytes());
        // In no text.
        hasher.write_u8(0xff);
        hasher.write(who);
        // 0 is nobody.
        hasher.finish().max(1)
    }

    /// Decides on a request of the client with this [hash](Table::hash).
    pub(crate) fn take(&self, rate: &Rate, client: u64) -> Standing {
        let set = self.set(client);
        loop {
            let found = find(set, client);
            let (standing, whole) = rate.take(found.whole, self.clock.now());
            if !standing.allowed || found.replace(client, whole) {
                return standing;
            }
        }
    }

    /// The client owes at least `owed` nanoseconds: that is known from elsewhere.
    pub(crate) fn note(&self, client: u64, owed: u64) {
        let whole = self.clock.now().saturating_add(owed);
        let set = self.set(client);
        loop {
            let found = find(set, client);
            if found.whole >= whole || found.replace(client, whole) {
                return;
            }
        }
    }

    fn set(&self, client: u64) -> &Set {
        let sets: &[Set] = match &self.sets {
            Sets::Own(sets) => sets,
            Sets::Shared(sets) => sets,
        };
        // Evenly, whatever their number is.
        &sets[((u128::from(client) * sets.len() as u128) >> 64) as usize]
    }
}

#[cfg(not(bimetal_loom))]
fn is_lock_free() -> bool {
    AtomicU128::is_lock_free()
}

#[cfg(bimetal_loom)]
fn is_lock_free() -> bool {
    true
}

/// A slot, and what was in it.
struct Found<'a> {
    slot: &'a AtomicU128,
    content: u128,
    whole: u64,
}

impl Found<'_> {
    /// Writes into the slot, unless somebody else has.
    fn replace(&self, client: u64, whole: u64) -> bool {
        self.slot.compare_exchange(self.content, join(client, whole), SeqCst, SeqCst).is_ok()
    }
}

/// The slot of `client`, or the one that it is to take.
fn find(set: &Set, client: u64) -> Found<'_> {
    let mut best: Option<Found<'_>> = None;
    for slot in &set.0 {
        let content = slot.load(SeqCst);
        let (owner, whole) = split(content);
        let found = Found { slot, content, whole };
        if owner == client {
            return found;
        }
        if best.as_ref().is_none_or(|best| whole < best.whole) {
            best = Some(found);
        }
    }
    match best {
        Some(best) => best,
        None => unreachable!("a set has slots"),
    }
}

fn join(client: u64, whole: u64) -> u128 {
    u128::from(client) << 64 | u128::from(whole)
}

fn split(content: u128) -> (u64, u64) {
    ((content >> 64) as u64, content as u64)
}

#[cfg(bimetal_loom)]
#[path = "table_model.rs"]
mod model;

#[cfg(all(test, not(bimetal_loom)))]
#[path = "table_tests.rs"]
mod tests;
