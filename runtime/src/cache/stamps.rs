//! What makes answers invalid, in one step, however many they are.
//!
//! Each answer has a stamp, taken before its handler was called, and marks: what it can be invalidated by, each a place in one
//! table. To invalidate is to write a later stamp there. So it counts for answers that are still in the making, nothing is
//! searched, and the table does not grow: where two names share a place, an answer may be made anew once too often.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

/// Places in the table: 128 KiB.
const PLACES: usize = 1 << 14;

/// What answers can be invalidated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// Everything.
    All,
    /// A path, decoded.
    Path(&'a str),
    /// A route, by its pattern.
    Pattern(&'a str),
    /// A route, by its name.
    Name(&'a str),
    /// A tag.
    Tag(&'a str),
}

impl<'a> Target<'a> {
    /// As a text, for other processes.
    pub fn to_text(&self) -> String {
        match self {
            Target::All => "*".to_owned(),
            Target::Path(path) => format!("/{path}"),
            Target::Pattern(pattern) => format!("{{{pattern}"),
            Target::Name(name) => format!("={name}"),
            Target::Tag(tag) => format!("#{tag}"),
        }
    }

    /// What [`Target::to_text`] was called on.
    pub fn from_text(text: &'a str) -> Option<Target<'a>> {
        let rest = text.get(1..)?;
        match text.as_bytes()[0] {
            b'*' => Some(Target::All),
            b'/' => Some(Target::Path(rest)),
            b'{' => Some(Target::Pattern(rest)),
            b'=' => Some(Target::Name(rest)),
            b'#' => Some(Target::Tag(rest)),
            _ => None,
        }
    }
}

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u16);

/// The marks of an answer.
pub(super) type Marks = SmallVec<[Mark; 6]>;

impl Mark {
    /// Every answer has it.
    pub(super) const ALL: Mark = Mark(0);

    pub(super) fn of(target: Target<'_>) -> Mark {
        if target == Target::All {
            return Mark::ALL;
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(target);
        // Not the first, which is for all.
        Mark((1 + hash % (PLACES as u64 - 1)) as u16)
    }
}

pub(super) struct Stamps {
    last: AtomicU64,
    places: Box<[AtomicU64]>,
}

impl Stamps {
    pub(super) fn new() -> Stamps {
        Stamps { last: AtomicU64::new(0), places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The stamp of an answer whose making begins now.
    pub(super) fn now(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Makes all answers with this mark invalid whose making has begun.
    pub(super) fn invalidate(&self, mark: Mark) {
        let stamp = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.places[usize::from(mark.0)].fetch_max(stamp, Ordering::SeqCst);
    }

    /// Whether nothing with these marks has been invalidated since `stamp`.
    pub(super) fn is_valid(&self, stamp: u64, marks: &[Mark]) -> bool {
        marks.iter().all(|mark| self.places[usize::from(mark.0)].load(Ordering::SeqCst) <= stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Stamps, Target};

    #[test]
    fn what_has_begun_is_invalid() {
        let stamps = Stamps::new();
        let (config, other) = (Mark::of(Target::Path("/config")), Mark::of(Target::Path("/other")));
        let before = stamps.now();
        assert!(stamps.is_valid(before, &[Mark::ALL, config]));
        stamps.invalidate(config);
        assert!(!stamps.is_valid(before, &[Mark::ALL, config]));
        assert!(stamps.is_valid(before, &[Mark::ALL, other]));
        assert!(stamps.is_valid(stamps.now(), &[Mark::ALL, config]));
        stamps.invalidate(Mark::ALL);
        assert!(!stamps.is_valid(before, &[Mark::ALL, other]));
    }

    #[test]
    fn targets_as_texts() {
        let targets = [
            Target::All,
            Target::Path("/a\n"),
            Target::Pattern("/users/{id}"),
            Target::Name("#"),
            Target::Tag(""),
        ];
        for target in targets {
            assert_eq!(Target::from_text(&target.to_text()), Some(target));
        }
        assert_eq!([Target::from_text(""), Target::from_text("?a"), Target::from_text("\u{e4}")], [None; 3]);
    }

    #[test]
    fn kinds_do_not_mix() {
        assert_ne!(Mark::of(Target::Path("/a")), Mark::of(Target::Pattern("/a")));
        assert_ne!(Mark::of(Target::Tag("/a")), Mark::of(Target::Name("/a")));
    }
}
