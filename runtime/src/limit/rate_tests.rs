use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::{Rate, SECOND};
use crate::ErrorKind;

#[test]
fn a_quota_is_used_up_and_earned_again() {
    let rate = Rate::new(10, Duration::from_secs(60), None).unwrap();
    let (mut whole, start) = (0, 5 * SECOND);
    for left in (0..10).rev() {
        let (standing, after) = rate.take(whole, start);
        assert!(standing.allowed);
        assert_eq!((rate.remaining(standing), rate.reset(standing)), (left, (10 - left) * 6));
        whole = after;
    }
    let (standing, after) = rate.take(whole, start);
    assert!(!standing.allowed && after == whole);
    assert_eq!((rate.remaining(standing), rate.reset(standing), rate.retry_after(standing)), (0, 60, 6));
    assert!(!rate.take(whole, start + 6 * SECOND - 1).0.allowed);
    let (standing, _) = rate.take(whole, start + 6 * SECOND);
    assert!(standing.allowed);
    assert_eq!((rate.remaining(standing), rate.reset(standing)), (0, 60));
    let (standing, _) = rate.take(whole, start + 1_000 * SECOND);
    assert_eq!(rate.remaining(standing), 9);
}

#[test]
fn one_at_a_time() {
    let rate = Rate::new(10, Duration::from_secs(60), Some(1)).unwrap();
    let (standing, whole) = rate.take(0, SECOND);
    assert!(standing.allowed && rate.remaining(standing) == 0);
    let (standing, _) = rate.take(whole, 2 * SECOND);
    assert_eq!((standing.allowed, rate.retry_after(standing)), (false, 5));
}

#[test]
fn what_is_no_rate_is_refused() {
    let minute = Duration::from_secs(60);
    for (requests, period, burst) in [
        (0, minute, None),
        (1, Duration::ZERO, None),
        (1, Duration::from_secs(400 * 24 * 3600), None),
        (1, minute, Some(0)),
        (1, minute, Some(2_000_000)),
        (1, Duration::from_secs(24 * 3600), Some(1_000_000)),
    ] {
        let error = Rate::new(requests, period, burst).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

proptest! {
    /// governor, which has the same algorithm over a clock and a store of its own, decides the same.
    #[test]
    fn governor_agrees(
        pauses in prop::collection::vec(0u64..2_000_000_000, 1..200), requests in 1u32..20, burst in 1u32..20,
    ) {
        let rate = Rate::new(requests, Duration::from_secs(requests.into()), Some(burst)).unwrap();
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(Duration::from_secs(1)).unwrap().allow_burst(burst.try_into().unwrap());
        let governor = RateLimiter::direct_with_clock(quota, clock.clone());
        let (mut whole, mut now) = (0, SECOND);
        for pause in pauses {
            now += pause;
            clock.advance(Duration::from_nanos(pause));
            let (standing, after) = rate.take(whole, now);
            whole = after;
            prop_assert_eq!(standing.allowed, governor.check().is_ok());
        }
    }
}
