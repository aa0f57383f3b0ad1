//! Which routes would gain most from Rust: the one judgement, for `bimetal routes --observed` and for the page for people.

/// A route is named when it has this share of what all of them could gain.
const SHARE: f64 = 0.05;

/// Fewer requests say nothing.
const REQUESTS: u64 = 10;

/// Where the time of the requests of one route and method has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Whether the route is native already.
    pub native: bool,
    /// How many there were.
    pub requests: u64,
    /// Seconds before the handler began and after it had its result.
    pub outside: f64,
    /// Seconds in the handler.
    pub inside: f64,
}

/// For each of all routes why it would gain from Rust; none for one that would not, or not much.
///
/// ```
/// use bimetal_runtime::metrics::{gains, Spent};
///
/// let slow = Spent { native: false, requests: 100, outside: 3.0, inside: 1.0 };
/// assert_eq!(gains(&[slow])[0].as_deref(), Some("75% of its time is outside the handler"));
/// ```
pub fn gains(routes: &[Spent]) -> Vec<Option<String>> {
    let counts = |route: &Spent| !route.native && route.requests >= REQUESTS;
    let total: f64 =
        routes.iter().filter(|route| counts(route)).map(|route| route.outside + route.inside).sum();
    let gain = |route: &Spent| {
        let Spent { outside, inside, .. } = *route;
        (counts(route) && outside > inside && outside >= SHARE * total).then(|| {
            format!("{:.0}% of its time is outside the handler", 100.0 * outside / (outside + inside))
        })
    };
    routes.iter().map(gain).collect()
}

#[cfg(test)]
mod tests {
    use super::{gains, Spent};

    #[test]
    fn those_that_matter_are_named() {
        let of = |native, requests, outside, inside| Spent { native, requests, outside, inside };
        let judged = gains(&[
            of(false, 10, 6.0, 4.0),
            of(false, 10, 4.0, 6.0),
            of(false, 9, 60.0, 0.0),
            of(true, 10, 60.0, 0.0),
            of(false, 10, 0.5, 0.0),
        ]);
        let named: Vec<_> = judged.iter().map(Option::is_some).collect();
        assert_eq!(named, [true, false, false, false, false]);
        assert_eq!(judged[0].as_deref(), Some("60% of its time is outside the handler"));
        assert_eq!(gains(&[of(false, 10, 0.0, 0.0)]), [None]);
    }
}
