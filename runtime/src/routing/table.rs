//! The index over all patterns: which routes may match a path, in order of registration.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::pattern::{Pattern, Segment};
use super::Params;
use crate::Error;

/// A route that matches one certain path.
struct Exact {
    route: usize,
    params: Params,
}

/// A route that may match a path of one shape.
struct Candidate {
    route: usize,
    /// The pattern has this very shape: it matches, and its parameters are the shape's.
    same_shape: bool,
}

/// Finds the routes for a path without trying them one by one.
///
/// - A path that is a pattern itself: one hash lookup gives every route that matches it, precomputed.
/// - Otherwise a tree finds the shape (`/users/{}/posts`), which lists every route that overlaps with it.
///   Those of the same shape match; the few others are tried.
/// - Otherwise only odd patterns (converters, parts of segments) are left: a list.
///
/// Each list is in order of registration, so the first that matches is Starlette's choice.
pub(crate) struct Index {
    patterns: Vec<Pattern>,
    exact: HashMap<Box<str>, Box<[Exact]>, RandomState>,
    tree: matchit::Router<Box<[Candidate]>>,
    odd: Box<[usize]>,
}

impl Index {
    pub(crate) fn new<'a>(sources: impl Iterator<Item = &'a str>) -> Result<Index, Error> {
        let patterns = sources.map(Pattern::parse).collect::<Result<Vec<_>, _>>()?;
        let mut exact = HashMap::with_hasher(RandomState::default());
        let mut shapes: Vec<(String, usize)> = Vec::new();
        let mut odd = Vec::new();
        for (route, pattern) in patterns.iter().enumerate() {
            if let Some(path) = pattern.as_static() {
                exact.entry(path.into()).or_insert_with(|| {
                    let matching = |(route, pattern): (usize, &Pattern)| {
                        pattern.matches(path).map(|params| Exact { route, params })
                    };
                    patterns.iter().enumerate().filter_map(matching).collect()
                });
            } else if let Some(segments) = pattern.segments() {
                let shape = shape(&segments);
                if !shapes.iter().any(|(known, _)| *known == shape) {
                    shapes.push((shape, route));
                }
            } else {
                odd.push(route);
            }
        }
        let mut tree = matchit::Router::new();
        for (shape, first) in shapes {
            let own = patterns[first].segments();
            let candidates = patterns
                .iter()
                .enumerate()
                .filter(|(_, pattern)| pattern.as_static().is_none() && pattern.may_overlap(&patterns[first]))
                .map(|(route, pattern)| Candidate { route, same_shape: pattern.segments() == own })
                .collect();
            if tree.insert(&*shape, candidates).is_err() {
                // A spelling the tree has another meaning for: tried one by one instead.
                let same = |(_, pattern): &(usize, &Pattern)| pattern.segments() == own;
                odd.extend(patterns.iter().enumerate().filter(same).map(|(route, _)| route));
            }
        }
        odd.sort_unstable();
        Ok(Index { patterns, exact, tree, odd: odd.into() })
    }

    /// The first route that matches `path` and that `accepts` takes.
    pub(crate) fn first(
        &self,
        path: &str,
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<(usize, Params)> {
        if let Some(routes) = self.exact.get(path) {
            let found = routes.iter().find(|exact| accepts(exact.route))?;
            return Some((found.route, found.params.clone()));
        }
        // A newline at the end, or inside of a parameter, means something to a regular expression. Only an
        // escaped path has one.
        if memchr::memchr(b'\n', path.as_bytes()).is_some() {
            return self.try_each(path, 0..self.patterns.len(), accepts);
        }
        let Ok(shape) = self.tree.at(path) else {
            return self.try_each(path, self.odd.iter().copied(), accepts);
        };
        for candidate in shape.value.iter() {
            if candidate.same_shape {
                if accepts(candidate.route) {
                    let base = path.as_ptr() as usize;
                    let mut params = Params::default();
                    for (_, value) in shape.params.iter() {
                        let start = value.as_ptr() as usize - base;
                        params.push(start..start + value.len());
                    }
                    return Some((candidate.route, params));
                }
            } else if let Some(params) = self.patterns[candidate.route].matches(path) {
                if accepts(candidate.route) {
                    return Some((candidate.route, params));
                }
            }
        }
        None
    }

    fn try_each(
        &self,
        path: &str,
        routes: impl Iterator<Item = usize>,
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<(usize, Params)> {
        for route in routes {
            if let Some(params) = self.patterns[route].matches(path) {
                if accepts(route) {
                    return Some((route, params));
                }
            }
        }
        None
    }
}

/// The shape as the tree spells it, parameters numbered so that equal shapes are equal text.
fn shape(segments: &[Segment]) -> String {
    let mut shape = String::new();
    for (index, segment) in segments.iter().enumerate() {
        shape.push('/');
        match segment {
            Segment::Literal(text) => shape.push_str(text),
            Segment::Param => shape.push_str(&format!("{{p{index}}}")),
        }
    }
    shape
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
