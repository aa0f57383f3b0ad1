//! The index over all patterns: which routes may match a path, in order of registration.

use std::collections::HashSet;

use super::pattern::Pattern;
use super::tree::Tree;
use super::Params;
use crate::Error;

/// A route that may match a path of one shape.
struct Candidate {
    route: u32,
    /// Whether it is the last one of its shape.
    last: bool,
    captures: Captures,
}

/// What its parameters are.
enum Captures {
    /// Those of the shape: the pattern has this very shape.
    Shape,
    /// These: the shape is one path, which the pattern matches.
    Known(Box<Params>),
    /// To be seen, and whether it matches at all.
    Tried,
}

/// Finds the routes for a path without trying them one by one.
///
/// - A [tree](Tree) finds the shape of the path (`/users/{}/posts`), which lists every route that matches it or may do so.
///   Those of the same shape match; the few others are tried. A shape without parameters is one path: what matches it
///   is known.
/// - Without a shape only odd patterns (converters, parts of segments) are left: a list.
///
/// Each list is in order of registration, so the first that matches is Starlette's choice.
pub(crate) struct Index {
    patterns: Vec<Pattern>,
    tree: Tree,
    /// The lists of all shapes, one after the other.
    candidates: Box<[Candidate]>,
    odd: Box<[usize]>,
}

impl Index {
    pub(crate) fn new<'a>(sources: impl Iterator<Item = &'a str>) -> Result<Index, Error> {
        let patterns = sources.map(Pattern::parse).collect::<Result<Vec<_>, _>>()?;
        let (mut shapes, mut candidates, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        let mut known = HashSet::new();
        for (route, pattern) in patterns.iter().enumerate() {
            let Some(shape) = pattern.segments() else {
                odd.push(route);
                continue;
            };
            if known.insert(shape) {
                shapes.push((shape, candidates.len() as u32));
                for (route, other) in patterns.iter().enumerate() {
                    if let Some(captures) = captures(pattern, other) {
                        candidates.push(Candidate { route: route as u32, captures, last: false });
                    }
                }
                if let Some(candidate) = candidates.last_mut() {
                    candidate.last = true;
                }
            }
        }
        let tree = Tree::new(shapes);
        Ok(Index { patterns, tree, candidates: candidates.into(), odd: odd.into() })
    }

    /// The first route that matches `path` and that `accepts` takes. What its parameters capture is in `params`
    /// then, which has to be empty.
    #[inline]
    pub(crate) fn first(
        &self,
        path: &str,
        params: &mut Params,
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        // For a regular expression, a newline at the end may be the end or belong to a parameter. Only an
        // escaped path has one.
        if path.as_bytes().last() == Some(&b'\n') {
            return self.try_each(path, params, 0..self.patterns.len(), accepts);
        }
        let Some(first) = self.tree.find(path.as_bytes(), params) else {
            return self.try_each(path, params, self.odd.iter().copied(), accepts);
        };
        let candidates = &self.candidates[first as usize..];
        match candidates.first() {
            Some(Candidate { route, captures: Captures::Shape, .. }) if accepts(*route as usize) => {
                Some(*route as usize)
            }
            _ => self.choose(path, params, candidates, accepts),
        }
    }

    /// The first of `candidates`, up to the last one of their shape.
    #[inline(never)]
    fn choose(
        &self,
        path: &str,
        params: &mut Params,
        candidates: &[Candidate],
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        for candidate in candidates {
            let route = candidate.route as usize;
            let tried;
            let captured = match &candidate.captures {
                Captures::Shape => None,
                Captures::Known(known) => Some(&**known),
                Captures::Tried => match self.patterns[route].matches(path) {
                    Some(params) => {
                        tried = params;
                        Some(&tried)
                    }
                    None if candidate.last => break,
                    None => continue,
                },
            };
            if accepts(route) {
                if let Some(captured) = captured {
                    *params = captured.clone();
                }
                return Some(route);
            }
            if candidate.last {
                break;
            }
        }
        None
    }

    #[inline(never)]
    fn try_each(
        &self,
        path: &str,
        params: &mut Params,
        routes: impl Iterator<Item = usize>,
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        for route in routes {
            if let Some(captured) = self.patterns[route].matches(path) {
                if accepts(route) {
                    *params = captured;
                    return Some(route);
                }
            }
        }
        None
    }
}

/// How `other` takes part in the shape of `pattern`, which has one, if it does.
fn captures(pattern: &Pattern, other: &Pattern) -> Option<Captures> {
    if other.segments() == pattern.segments() {
        return Some(Captures::Shape);
    }
    match pattern.as_static() {
        Some(path) => other.matches(path).map(|params| Captures::Known(Box::new(params))),
        // A path that is a pattern itself has a shape of its own.
        None => (other.as_static().is_none() && pattern.may_overlap(other)).then_some(Captures::Tried),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
