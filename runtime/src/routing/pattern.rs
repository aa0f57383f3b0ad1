//! One route pattern: read as Starlette's `compile_path` reads it, and matched as its regular expression
//! would.

use memchr::memchr;

use super::Params;
use crate::{Error, ErrorKind};

/// What a parameter matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Converter {
    /// `[^/]+`
    Str,
    /// `.*`
    Path,
    /// `[0-9]+`
    Int,
    /// `[0-9]+(\.[0-9]+)?`
    Float,
    /// Eight, four, four, four and twelve hexadecimal digits, a dash between them or not.
    Uuid,
}

impl Converter {
    fn named(name: &str) -> Option<Converter> {
        Some(match name {
            "str" => Converter::Str,
            "path" => Converter::Path,
            "int" => Converter::Int,
            "float" => Converter::Float,
            "uuid" => Converter::Uuid,
            _ => return None,
        })
    }
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// Text that must be there.
    Literal(Box<str>),
    /// A parameter.
    Param(Converter),
}

/// One segment of a [plain](Pattern::segments) pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// Text, which may be empty.
    Literal(Box<str>),
    /// A whole segment: `{x}` or `{x:str}`.
    Param,
}

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    elements: Vec<Element>,
    segments: Option<Box<[Segment]>>,
}

impl Pattern {
    /// Reads `source`. As in Starlette only `{name}` and `{name:converter}` are parameters.
    pub(crate) fn parse(source: &str) -> Result<Pattern, Error> {
        let wrong = |what: String| Error::new(ErrorKind::Route, format!("route pattern {source:?}: {what}"));
        if !source.starts_with('/') {
            return Err(wrong("it must start with a slash".to_owned()));
        }
        let mut elements = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            literal.push_str(&rest[..open]);
            rest = &rest[open..];
            let Some(close) = rest.find('}') else {
                return Err(wrong(format!("the brace of {rest:?} is never closed")));
            };
            let inside = &rest[1..close];
            let (name, converter) = inside.split_once(':').unwrap_or((inside, "str"));
            if !is_identifier(name) || !is_identifier(converter) {
                // Not a parameter for Starlette either: the brace is text.
                literal.push('{');
                rest = &rest[1..];
                continue;
            }
            let Some(converter) = Converter::named(converter) else {
                return Err(wrong(format!(
                    "unknown converter {converter:?} of parameter {name:?} (known: str, path, int, float, uuid)"
                )));
            };
            if names.contains(&name) {
                return Err(wrong(format!("parameter {name:?} is there twice; rename one of them")));
            }
            names.push(name);
            if !literal.is_empty() {
                elements.push(Element::Literal(std::mem::take(&mut literal).into()));
            }
            elements.push(Element::Param(converter));
            rest = &rest[close + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            elements.push(Element::Literal(literal.into()));
        }
        let segments = segments(&elements).map(Vec::into_boxed_slice);
        Ok(Pattern { elements, segments })
    }

    /// The path itself where the pattern has no parameters.
    pub(crate) fn as_static(&self) -> Option<&str> {
        match self.elements.as_slice() {
            [Element::Literal(path)] => Some(path),
            _ => None,
        }
    }

    /// The segments after the first slash, where each parameter is a whole segment matching `[^/]+`.
    pub(crate) fn segments(&self) -> Option<&[Segment]> {
        self.segments.as_deref()
    }

    /// Whether the pattern matches the whole of `path`, and what its parameters capture.
    pub(crate) fn matches(&self, path: &str) -> Option<Params> {
        // A path can never match without the text the pattern starts and ends with. This also keeps the
        // search below from trying every split of a long path that cannot match.
        if let Some(Element::Literal(prefix)) = self.elements.first() {
            if !path.starts_with(&**prefix) {
                return None;
            }
        }
        if let Some(Element::Literal(suffix)) = self.elements.last() {
            if !path.ends_with(&**suffix) && !path.ends_with('\n') {
                return None;
            }
        }
        let variable = self.elements.iter().filter(|e| matches!(e, Element::Param(_))).count();
        let mut search = Search {
            elements: &self.elements,
            path,
            ends: vec![0; self.elements.len()],
            // With one parameter there is nothing to try twice.
            failed: (variable > 1).then(Vec::new),
        };
        if !search.run(0, 0) {
            return None;
        }
        let mut params = Params::default();
        let mut start = 0;
        for (element, &end) in self.elements.iter().zip(&search.ends) {
            if matches!(element, Element::Param(_)) {
                params.push(start..end);
            }
            start = end;
        }
        Some(params)
    }

    /// Whether some path may match both patterns. Errs on the side of yes.
    pub(crate) fn may_overlap(&self, other: &Pattern) -> bool {
        if let (Some(a), Some(b)) = (self.segments(), other.segments()) {
            return a.len() == b.len()
                && a.iter().zip(b).all(|pair| match pair {
                    (Segment::Literal(a), Segment::Literal(b)) => a == b,
                    (Segment::Literal(text), Segment::Param) | (Segment::Param, Segment::Literal(text)) => {
                        !text.is_empty()
                    }
                    (Segment::Param, Segment::Param) => true,
                });
        }
        let literal_prefix = |pattern: &Pattern| match pattern.elements.first() {
            Some(Element::Literal(text)) => text.clone(),
            _ => "".into(),
        };
        let (a, b) = (literal_prefix(self), literal_prefix(other));
        a.starts_with(&*b) || b.starts_with(&*a)
    }
}

/// See [`Pattern::segments`].
fn segments(elements: &[Element]) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    // Whether the text so far ends inside a segment that a literal has begun; a parameter needs a fresh
    // one.
    let mut open: Option<String> = None;
    let mut after_param = false;
    for element in elements {
        match element {
            Element::Literal(text) => {
                if after_param && !text.starts_with('/') {
                    return None;
                }
                let mut pieces = text.split('/');
                // What precedes the first slash is empty: checked above, and a pattern starts with a
                // slash.
                pieces.next();
                for piece in pieces {
                    if let Some(done) = open.replace(piece.to_owned()) {
                        segments.push(Segment::Literal(done.into()));
                    }
                }
                after_param = false;
            }
            Element::Param(Converter::Str) => match open.take() {
                Some(text) if text.is_empty() => {
                    segments.push(Segment::Param);
                    after_param = true;
                }
                _ => return None,
            },
            Element::Param(_) => return None,
        }
    }
    if let Some(done) = open {
        segments.push(Segment::Literal(done.into()));
    }
    Some(segments)
}

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A greedy search with backtracking: the split that Python's `re` finds is the first one tried that matches.
struct Search<'a> {
    elements: &'a [Element],
    path: &'a str,
    /// Where each element ends, for those matched so far.
    ends: Vec<usize>,
    /// Bits of (element, position) known to lead nowhere; allocated when first needed.
    failed: Option<Vec<u64>>,
}

impl Search<'_> {
    fn run(&mut self, index: usize, at: usize) -> bool {
        let Some(element) = self.elements.get(index) else {
            // `$` also matches before a newline at the very end.
            return at == self.path.len() || (at + 1 == self.path.len() && self.path.ends_with('\n'));
        };
        match element {
            Element::Literal(text) => {
                self.path.as_bytes()[at..].starts_with(text.as_bytes()) && self.step(index, at + text.len())
            }
            Element::Param(converter) => {
                if self.known_to_fail(index, at) {
                    return false;
                }
                let found = self.param(index, at, *converter);
                if !found {
                    self.note_failure(index, at);
                }
                found
            }
        }
    }

    fn step(&mut self, index: usize, end: usize) -> bool {
        self.ends[index] = end;
        self.run(index + 1, end)
    }

    fn param(&mut self, index: usize, at: usize, converter: Converter) -> bool {
        let rest = &self.path.as_bytes()[at..];
        match converter {
            Converter::Str => self.longest_first(index, at, memchr(b'/', rest).unwrap_or(rest.len()), 1),
            Converter::Path => self.longest_first(index, at, memchr(b'\n', rest).unwrap_or(rest.len()), 0),
            Converter::Int => self.longest_first(index, at, digits(rest), 1),
            Converter::Float => {
                for whole in (1..=digits(rest)).rev() {
                    if rest.get(whole) == Some(&b'.') {
                        for fraction in (1..=digits(&rest[whole + 1..])).rev() {
                            if self.step(index, at + whole + 1 + fraction) {
                                return true;
                            }
                        }
                    }
                    if self.step(index, at + whole) {
                        return true;
                    }
                }
                false
            }
            Converter::Uuid => match uuid_length(rest) {
                Some(length) => self.step(index, at + length),
                None => false,
            },
        }
    }

    /// Tries every length from `longest` bytes down to `shortest`, never splitting a character.
    fn longest_first(&mut self, index: usize, at: usize, longest: usize, shortest: usize) -> bool {
        let last = index + 1 == self.elements.len();
        for length in (shortest..=longest).rev() {
            if self.path.is_char_boundary(at + length) && self.step(index, at + length) {
                return true;
            }
            // Nothing follows: only the very end, or the newline before it, could have matched.
            if last && length + 2 < longest {
                return false;
            }
        }
        false
    }

    fn bit(&self, index: usize, at: usize) -> (usize, u64) {
        let bit = index * (self.path.len() + 1) + at;
        (bit / 64, 1 << (bit % 64))
    }

    fn known_to_fail(&self, index: usize, at: usize) -> bool {
        let (word, mask) = self.bit(index, at);
        self.failed.as_ref().is_some_and(|bits| bits.get(word).is_some_and(|bits| bits & mask != 0))
    }

    fn note_failure(&mut self, index: usize, at: usize) {
        let (word, mask) = self.bit(index, at);
        let words = (self.elements.len() * (self.path.len() + 1)).div_ceil(64);
        if let Some(bits) = &mut self.failed {
            bits.resize(words, 0);
            bits[word] |= mask;
        }
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn uuid_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (group, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 && bytes.get(at) == Some(&b'-') {
            at += 1;
        }
        if !bytes.get(at..at + length)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += length;
    }
    Some(at)
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
