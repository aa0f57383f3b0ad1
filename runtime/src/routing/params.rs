//! Path parameters as byte ranges of the decoded path.

use std::ops::Range;

/// How many parameters are kept without an allocation.
const INLINE: usize = 8;

/// The captured ranges of one match, in the order in which the pattern names its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    inline: [(u32, u32); INLINE],
    len: u32,
    /// All of them, once there are more than [`INLINE`].
    spilled: Vec<(u32, u32)>,
}

impl Params {
    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The byte range of parameter `index` in the decoded path.
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        if index >= self.len() {
            return None;
        }
        let (start, end) = if self.spilled.is_empty() { self.inline[index] } else { self.spilled[index] };
        Some(start as usize..end as usize)
    }

    pub(crate) fn push(&mut self, range: Range<usize>) {
        let entry = (range.start as u32, range.end as u32);
        let len = self.len();
        if len < INLINE {
            self.inline[len] = entry;
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.inline);
            }
            self.spilled.push(entry);
        }
        self.len += 1;
    }
}
