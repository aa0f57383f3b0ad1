//! Which routes would gain most from Rust: the one judgement, for `bimetal routes --observed` and for the page for people.

/// A route is named when it has this share of what all of them could gain.
const SHARE: f64 = 0.05;

/// A handler is said to compute when it does for this share of its route's time. One that waits for a database comes to a tenth.
const COMPUTES: f64 = 0.25;

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
    /// Of these, for how many its thread was on a core, as far as that is known.
    pub computed: f64,
}

impl Spent {
    /// What the requests have computed altogether, where `sum` seconds were measured for `count` of them.
    pub fn estimate(requests: u64, sum: f64, count: f64) -> f64 {
        if count > 0.0 {
            sum / count * requests as f64
        } else {
            0.0
        }
    }
}

/// For each of all routes why it would gain from Rust; none for one that would not, or not much.
///
/// ```
/// use bimetal_runtime::metrics::{gains, Spent};
///
/// let slow = Spent { requests: 100, outside: 3.0, inside: 1.0, ..Spent::default() };
/// assert_eq!(gains(&[slow])[0].as_deref(), Some("75% of its time is outside the handler"));
/// let heavy = Spent { requests: 100, outside: 1.0, inside: 3.0, computed: 2.8, ..Spent::default() };
/// assert_eq!(gains(&[heavy])[0].as_deref(), Some("its handler computes for 70% of its time"));
/// ```
pub fn gains(routes: &[Spent]) -> Vec<Option<String>> {
    let counts = |route: &Spent| !route.native && route.requests >= REQUESTS;
    let total: f64 =
        routes.iter().filter(|route| counts(route)).map(|route| route.outside + route.inside).sum();
    let gain = |route: &Spent| {
        let Spent { outside, inside, computed, .. } = *route;
        let all = outside + inside;
        let percent = |part: f64| 100.0 * (part / all).min(1.0);
        if !counts(route) {
            None
        } else if outside > inside && outside >= SHARE * total {
            Some(format!("{:.0}% of its time is outside the handler", percent(outside)))
        } else if computed > 0.0 && computed >= COMPUTES * all && computed >= SHARE * total {
            Some(format!("its handler computes for {:.0}% of its time", percent(computed)))
        } else {
            None
        }
    };
    routes.iter().map(gain).collect()
}

#[cfg(test)]
mod tests {
    use super::{gains, Spent};

    #[test]
    fn those_that_matter_are_named() {
        let of = |native, requests, outside, inside| Spent {
            native,
            requests,
            outside,
            inside,
            ..Spent::default()
        };
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

    #[test]
    fn a_handler_that_computes_is_told_from_one_that_waits() {
        let of = |native, requests, outside, computed| Spent {
            native,
            requests,
            outside,
            inside: 10.0 - outside,
            computed,
        };
        let judged = gains(&[
            of(false, 10, 2.0, 2.5),
            of(false, 10, 2.0, 2.4),
            of(false, 9, 0.0, 10.0),
            of(true, 10, 0.0, 10.0),
            of(false, 10, 6.0, 4.0),
        ]);
        let told: Vec<_> = judged.iter().map(Option::as_deref).collect();
        let expected = [
            Some("its handler computes for 25% of its time"),
            None,
            None,
            None,
            Some("60% of its time is outside the handler"),
        ];
        assert_eq!(told, expected);
        assert_eq!(Spent::estimate(100, 0.5, 5.0), 10.0);
        assert_eq!(Spent::estimate(100, 0.0, 0.0), 0.0);
    }
}
