use proptest::prelude::{prop, proptest, Strategy};
use proptest::prop_assert_eq;

use super::Span;

/// The same by looking at each byte.
fn plain(rest: &[u8]) -> Span {
    let segment = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let first = word(&segment[..segment.len().min(8)]);
    let last = word(&segment[segment.len().saturating_sub(8)..]);
    Span { length: segment.len(), first, last }
}

/// Slashes, what differs from them in one bit or by one, zeros, and the highest bytes of UTF-8.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop::sample::select(vec![b'/', b'/', b'.', b'0', b'a', b'a', b'b', 0, 0x2e, 0x6f, 0xaf, 0xf4]);
    prop::collection::vec(byte, 0..40)
}

proptest! {
    #[test]
    fn reads_what_a_look_at_each_byte_finds(path in path()) {
        for start in 0..=path.len() {
            prop_assert_eq!(Span::of(&path, &path[start..]), plain(&path[start..]), "at {}", start);
        }
    }
}
