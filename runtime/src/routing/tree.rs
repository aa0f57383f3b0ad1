//! A tree of path segments, laid out flat, that finds the shape of a path in one look at its bytes.

use super::pattern::Segment;
use super::span::Span;
use super::Params;

/// Stands for a node that is not there.
const NONE: u32 = u32::MAX;
/// The length in a slot without an edge: no segment is as long.
const EMPTY: u32 = u32::MAX;
/// How many seeds are tried for the table of a node.
const SEEDS: u64 = 32;

/// Finds for a path the shape with which it was [built](Tree::new), and what lies where the shape has parameters.
///
/// Each node has a small hash table of the literals that may follow. All tables lie in one array, and their seeds are
/// chosen so that a literal is nearly always in the first slot that is looked at. A literal is preferred to a
/// parameter; where it leads nowhere, the parameter is tried. No node is visited twice.
pub(super) struct Tree {
    nodes: Box<[Node]>,
    slots: Box<[Slot]>,
    /// What literals have between their first and their last eight bytes.
    middles: Box<[u8]>,
}

#[derive(Clone, Debug)]
struct Node {
    /// Its table: the first slot, and how far a product is shifted to give the place in it.
    table: u32,
    shift: u32,
    seed: u64,
    /// The node after a parameter.
    param: u32,
    /// What was given with the shape that ends here.
    given: u32,
}

#[derive(Clone, Debug)]
struct Slot {
    first: u64,
    last: u64,
    length: u32,
    /// Where what lies between its first and its last eight bytes begins.
    middle: u32,
    /// The node after this literal.
    node: u32,
}

const VACANT: Slot = Slot { first: 0, last: 0, length: EMPTY, middle: 0, node: NONE };

impl Slot {
    /// Whether it is this literal, its middle aside.
    #[inline(always)]
    fn holds(&self, span: &Span) -> bool {
        self.first == span.first && self.last == span.last && self.length as usize == span.length
    }
}

/// A node while the tree is built.
struct Draft {
    literals: Vec<(Box<str>, u32)>,
    param: u32,
    given: u32,
}

impl Tree {
    /// A tree of shapes, each with a number to be found for it. No two are the same.
    pub(super) fn new<'a>(shapes: impl IntoIterator<Item = (&'a [Segment], u32)>) -> Tree {
        let mut drafts = vec![Draft::new()];
        for (shape, given) in shapes {
            let mut at = 0;
            for segment in shape {
                at = child(&mut drafts, at, segment);
            }
            drafts[at as usize].given = given;
        }
        let mut tree = Flat { slots: Vec::new(), middles: Vec::new() };
        let nodes = drafts.iter().map(|draft| tree.node(draft)).collect();
        Tree { nodes, slots: tree.slots.into(), middles: tree.middles.into() }
    }

    /// What was given with the shape of `path`; appends its parameters to `params`.
    #[inline]
    pub(super) fn find(&self, path: &[u8], params: &mut Params) -> Option<u32> {
        let rest = path.strip_prefix(b"/")?;
        let given = self.descend(0, path, rest, params);
        (given != NONE).then_some(given)
    }

    /// What was given with a shape, else [`NONE`], where `rest` is what is left of `path` at `node`.
    #[inline(always)]
    fn descend(&self, mut node: u32, path: &[u8], mut rest: &[u8], params: &mut Params) -> u32 {
        loop {
            let here = &self.nodes[node as usize];
            let span = Span::of(path, rest);
            let literal = if here.shift == 0 { NONE } else { self.literal(here, &span, rest) };
            if literal == NONE {
                if here.param == NONE || span.length == 0 {
                    return NONE;
                }
                let start = path.len() - rest.len();
                params.push(start..start + span.length);
                node = here.param;
            } else if here.param == NONE || span.length == 0 {
                node = literal;
            } else {
                return self.either(literal, here.param, path, rest, span.length, params);
            }
            match rest.get(span.length + 1..) {
                Some(left) => rest = left,
                None => return self.nodes[node as usize].given,
            }
        }
    }

    /// The same where the segment at the start of `rest` is a `literal`, and may be a parameter as well.
    #[inline(never)]
    fn either(
        &self,
        literal: u32,
        param: u32,
        path: &[u8],
        rest: &[u8],
        length: usize,
        params: &mut Params,
    ) -> u32 {
        let before = params.len();
        let given = self.after(literal, path, rest, length, params);
        if given != NONE {
            return given;
        }
        params.truncate(before);
        let start = path.len() - rest.len();
        params.push(start..start + length);
        self.after(param, path, rest, length, params)
    }

    #[inline(never)]
    fn after(&self, node: u32, path: &[u8], rest: &[u8], length: usize, params: &mut Params) -> u32 {
        match rest.get(length + 1..) {
            Some(left) => self.descend(node, path, left, params),
            None => self.nodes[node as usize].given,
        }
    }

    /// The node after the literal at the start of `rest`.
    #[inline(always)]
    fn literal(&self, node: &Node, span: &Span, rest: &[u8]) -> u32 {
        let place = node.table as usize + (span.hash().wrapping_mul(node.seed) >> node.shift) as usize;
        let slot = &self.slots[place];
        if slot.holds(span) && span.length <= 16 {
            return slot.node;
        }
        if slot.length == EMPTY {
            return NONE;
        }
        self.search(place, span, &rest[..span.length])
    }

    /// The same for a literal that has more than sixteen bytes, or is not at the place of its hash.
    #[inline(never)]
    fn search(&self, place: usize, span: &Span, segment: &[u8]) -> u32 {
        for slot in self.slots[place..].iter().take_while(|slot| slot.length != EMPTY) {
            let middle = segment.get(8..segment.len().max(16) - 8).unwrap_or_default();
            if slot.holds(span) && self.middles[slot.middle as usize..].starts_with(middle) {
                return slot.node;
            }
        }
        NONE
    }
}

impl Draft {
    fn new() -> Draft {
        Draft { literals: Vec::new(), param: NONE, given: NONE }
    }
}

/// The node to which `segment` leads from the node `at`; makes it if there is none.
fn child(drafts: &mut Vec<Draft>, at: u32, segment: &Segment) -> u32 {
    let next = drafts.len() as u32;
    let draft = &mut drafts[at as usize];
    match segment {
        Segment::Param if draft.param != NONE => return draft.param,
        Segment::Param => draft.param = next,
        Segment::Literal(text) => match draft.literals.iter().find(|(known, _)| known == text) {
            Some(&(_, node)) => return node,
            None => draft.literals.push((text.clone(), next)),
        },
    }
    drafts.push(Draft::new());
    next
}

/// The arrays while they grow.
struct Flat {
    slots: Vec<Slot>,
    middles: Vec<u8>,
}

impl Flat {
    fn node(&mut self, draft: &Draft) -> Node {
        let table = self.slots.len() as u32;
        let mut node = Node { table, shift: 0, seed: 0, param: draft.param, given: draft.given };
        if draft.literals.is_empty() {
            return node;
        }
        // At most half full, so that a search ends soon.
        let bits = (2 * draft.literals.len()).next_power_of_two().trailing_zeros();
        node.shift = 64 - bits;
        let spans = draft.literals.iter().map(|(text, _)| Span::of(text.as_bytes(), text.as_bytes()));
        let spans: Vec<Span> = spans.collect();
        // Odd numbers without a pattern in their bits.
        let seeds = (1..=SEEDS).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        node.seed = seeds.min_by_key(|seed| crowding(&spans, *seed, node.shift)).unwrap_or(1);
        // A search ends at a vacant slot: there is one behind the table as well.
        self.slots.resize(self.slots.len() + (1 << bits) + 1, VACANT);
        for (&(ref text, next), span) in draft.literals.iter().zip(spans) {
            let mut place =
                node.table as usize + (span.hash().wrapping_mul(node.seed) >> node.shift) as usize;
            while self.slots[place].length != EMPTY {
                place += 1;
            }
            if place + 1 == self.slots.len() {
                self.slots.push(VACANT);
            }
            let middle = self.middles.len() as u32;
            let length = text.len() as u32;
            self.slots[place] = Slot { first: span.first, last: span.last, length, middle, node: next };
            self.middles.extend(text.as_bytes().iter().take(text.len().saturating_sub(8)).skip(8));
        }
        node
    }
}

/// How many spans share their place with another one.
fn crowding(spans: &[Span], seed: u64, shift: u32) -> usize {
    let mut places: Vec<u64> = spans.iter().map(|span| span.hash().wrapping_mul(seed) >> shift).collect();
    places.sort_unstable();
    places.dedup();
    spans.len() - places.len()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
