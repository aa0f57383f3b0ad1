use proptest::prelude::*;

use super::Coding::{Brotli, Gzip, Zstd};
use super::*;

fn chosen(field: &str) -> Option<Coding> {
    Accepted::read([field.as_bytes()]).choose(Coding::ALL)
}

#[test]
fn browsers_and_other_clients() {
    for (field, coding) in [
        // Chrome, Edge and Firefox of today; Safari; older ones.
        ("gzip, deflate, br, zstd", Some(Zstd)),
        ("gzip, deflate, br", Some(Brotli)),
        ("gzip, deflate", Some(Gzip)),
        // curl --compressed, requests and httpx, Go, wget, Googlebot.
        ("deflate, gzip, br, zstd", Some(Zstd)),
        ("gzip", Some(Gzip)),
        ("identity", None),
        ("gzip, deflate, br;q=0.9", Some(Gzip)),
        ("", None),
        ("deflate", None),
        ("compress, exi, pack200-gzip", None),
    ] {
        assert_eq!(chosen(field), coding, "{field:?}");
    }
    assert_eq!(Accepted::read([]).choose(Coding::ALL), None, "no field: as it is");
}

#[test]
fn weights_count() {
    for (field, coding) in [
        ("gzip;q=1.0, br;q=0.8, zstd;q=0.5", Some(Gzip)),
        ("br;q=0.001", Some(Brotli)),
        ("br;q=0.0001", Some(Brotli)),
        ("br;q=0", None),
        ("br;q=0.000", None),
        ("br;q=0.", None),
        ("br;q=1.000, zstd;q=0.999", Some(Brotli)),
        ("zstd;q=0, *", Some(Brotli)),
        ("*", Some(Zstd)),
        ("*;q=0.5, gzip", Some(Gzip)),
        ("*;q=0, gzip", Some(Gzip)),
        ("*;q=0", None),
        ("GZIP ; Q=0.5 ,\tBR;q=0.4", Some(Gzip)),
        ("x-gzip", Some(Gzip)),
        ("gzip;level=9;q=0.5, br;q=0.4", Some(Gzip)),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
        ("identity;q=0.5, gzip;q=1", Some(Gzip)),
        ("identity;q=0, gzip;q=0.1", Some(Gzip)),
    ] {
        assert_eq!(chosen(field), coding, "{field:?}");
    }
}

#[test]
fn what_is_malformed_counts_as_not_there() {
    for field in [
        "gzip;q=x",
        "gzip;q=",
        "gzip;q=-1",
        "gzip;q=1.5",
        "gzip;q=2",
        "gzip;q=.5",
        "gzip;q=0.5.5",
        "gzip;q=0,5x",
        "gzip;q",
        "gzip;",
        ";q=1",
        "gzip br",
        "\"gzip\"",
        "gzip/1",
        ",,,",
        "gz\u{ff}ip",
    ] {
        assert_eq!(chosen(field), None, "{field:?}");
        assert_eq!(chosen(&format!("{field}, br;q=0.2")), Some(Brotli), "{field:?}");
    }
}

#[test]
fn fields_are_one_list() {
    let accepted = Accepted::read([&b"gzip;q=0.5"[..], b"br;q=0.6, identity;q=0"]);
    assert_eq!(accepted.choose(Coding::ALL), Some(Brotli));
    assert_eq!(accepted.choose([Gzip]), Some(Gzip));
    assert!(accepted.refuses_identity());
}

#[test]
fn who_refuses_identity() {
    for (field, refused) in [
        ("identity;q=0", true),
        ("*;q=0", true),
        ("gzip, *;q=0", true),
        ("identity, *;q=0", false),
        ("identity;q=0.001, *;q=0", false),
        ("*", false),
        ("gzip", false),
        ("identity;q=0, *", true),
        ("", false),
    ] {
        assert_eq!(Accepted::read([field.as_bytes()]).refuses_identity(), refused, "{field:?}");
    }
}

proptest! {
    /// Anything can be read, and what is chosen was asked for.
    #[test]
    fn nothing_is_chosen_that_nobody_named(field in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(coding) = Accepted::read([&field[..]]).choose(Coding::ALL) {
            let lower = field.to_ascii_lowercase();
            let named = memchr::memmem::find(&lower, coding.token().as_bytes()).is_some();
            prop_assert!(named || lower.contains(&b'*'));
        }
    }

    #[test]
    fn lists_of_weights_are_read_as_they_stand(weights in proptest::collection::vec(0_u16..=1000, 3)) {
        let [zstd, br, gzip] = weights[..] else { unreachable!() };
        let text = |weight: u16| format!("{}.{:03}", weight / 1000, weight % 1000);
        let field = format!("br;q={}, gzip;q={},zstd;q={}", text(br), text(gzip), text(zstd));
        let most = zstd.max(br).max(gzip);
        let expected = [(Zstd, zstd), (Brotli, br), (Gzip, gzip)].into_iter().find(|(_, weight)| *weight == most && most > 0);
        prop_assert_eq!(chosen(&field), expected.map(|(coding, _)| coding));
    }
}
