//! Reading a path segment by segment, eight bytes at a time.

use std::num::NonZeroU64;

const SLASHES: u64 = u64::from_ne_bytes([b'/'; 8]);
const LOWEST: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);

/// The first segment of what is left of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Up to the slash after it, or to the end.
    pub(super) length: usize,
    /// Its first eight bytes, the very first lowest, and zeros where it is shorter.
    pub(super) first: u64,
    /// Its last eight bytes; the same as `first` where it has no more than eight.
    pub(super) last: u64,
}

impl Span {
    /// The first segment of `rest`, with which `path` ends.
    #[inline(always)]
    pub(super) fn of(path: &[u8], rest: &[u8]) -> Span {
        let first = word(path, rest);
        if let Some(slash) = slashes(first) {
            let first = first & below(slash);
            return Span { length: position(slash), first, last: first };
        }
        let (length, last) = if rest.len() <= 8 { (rest.len(), first) } else { longer(path, rest) };
        Span { length, first, last }
    }

    /// A number for a hash table that is the same for the same segment.
    #[inline(always)]
    pub(super) fn hash(&self) -> u64 {
        self.first.rotate_left(29) ^ self.last
    }
}

/// Length and last eight bytes of a segment that has more than eight, or eight and a slash after it.
#[inline(never)]
fn longer(path: &[u8], rest: &[u8]) -> (usize, u64) {
    let mut length = 8;
    while let Some(left) = rest.get(length..) {
        if let Some(slash) = slashes(word(path, left)) {
            length += position(slash);
            break;
        }
        length += 8;
    }
    length = length.min(rest.len());
    let last = rest[..length].last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (length, last)
}

/// The first eight bytes of `rest`, with which `path` ends, the very first lowest; zeros beyond the end.
#[inline(always)]
fn word(path: &[u8], rest: &[u8]) -> u64 {
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_le_bytes(*bytes);
    }
    match path.last_chunk() {
        // Without what comes before the rest.
        Some(bytes) if !rest.is_empty() => u64::from_le_bytes(*bytes) >> (64 - 8 * rest.len()),
        _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The highest bit of each byte of `word` that is a slash, if any is. Bytes above the first one may be marked
/// wrongly.
#[inline(always)]
fn slashes(word: u64) -> Option<NonZeroU64> {
    let zeros = word ^ SLASHES;
    NonZeroU64::new(zeros.wrapping_sub(LOWEST) & !zeros & HIGHEST)
}

/// All bits of the bytes below the first that is marked.
#[inline(always)]
fn below(marks: NonZeroU64) -> u64 {
    (marks.get() ^ (marks.get() - 1)) >> 8
}

#[inline(always)]
fn position(marks: NonZeroU64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
#[path = "span_tests.rs"]
mod tests;
