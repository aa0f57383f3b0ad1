//! Path parameters as byte ranges of the decoded path.

use std::ops::Range;

use smallvec::SmallVec;

/// How many parameters are kept without an allocation; routes rarely have more.
const INLINE: usize = 4;

/// The captured ranges of one match, in the order in which the pattern names its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(SmallVec<[(u32, u32); INLINE]>);

impl Params {
    /// How many parameters there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The byte range of parameter `index` in the decoded path.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        self.0.get(index).map(|&(start, end)| start as usize..end as usize)
    }

    /// Forgets all but the first `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    #[inline]
    pub(crate) fn push(&mut self, range: Range<usize>) {
        self.0.push((range.start as u32, range.end as u32));
    }
}
