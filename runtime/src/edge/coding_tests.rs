use super::*;
use crate::edge::coding_fixture::{decoded, noise, readable};

fn usual(coding: Coding) -> u32 {
    coding.levels().2
}

#[test]
fn what_was_flushed_can_be_read() {
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, usual(coding), None);
        let mut sent = encoder.flushed(b"first");
        assert_eq!(readable(coding, &sent), b"first", "{coding:?}");
        sent.extend(encoder.flushed(b""));
        sent.extend(encoder.finished(b" last"));
        assert_eq!(decoded(coding, &sent).unwrap(), b"first last", "{coding:?}");
        assert_eq!(encoder.finished(b"more"), b"", "nothing follows the end");
    }
}

#[test]
fn every_level_compresses() {
    for coding in Coding::ALL {
        let (lowest, highest, usual) = coding.levels();
        assert!((lowest..=highest).contains(&usual));
        for level in lowest..=highest {
            for plain in [&b""[..], b"x", &[b'x'; 10_000], &noise(10_000)] {
                for size in [None, Some(plain.len())] {
                    let sent = Encoder::new(coding, level, size).finished(plain);
                    assert_eq!(decoded(coding, &sent).as_deref(), Some(plain), "{coding:?} {level} {size:?}");
                }
            }
        }
        let small = Encoder::new(coding, usual, Some(10_000)).finished(&[b'x'; 10_000]);
        assert!(small.len() < 100, "{coding:?}: {}", small.len());
    }
}

#[test]
fn there_are_no_other_levels() {
    for (coding, level) in
        [(Coding::Zstd, 0), (Coding::Zstd, 20), (Coding::Brotli, 12), (Coding::Gzip, 0), (Coding::Gzip, 10)]
    {
        let error = coding.check(level).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("level {level} of {}", coding.token())), "{error}");
    }
    assert!(Coding::ALL.into_iter().all(|coding| coding.check(usual(coding)).is_ok()));
}

#[test]
fn names_are_those_of_http() {
    for (name, coding) in [
        ("zstd", Some(Coding::Zstd)),
        ("BR", Some(Coding::Brotli)),
        ("gzip", Some(Coding::Gzip)),
        ("X-GZip", Some(Coding::Gzip)),
        ("brotli", None),
        ("", None),
    ] {
        assert_eq!(Coding::named(name.as_bytes()), coding, "{name}");
    }
}

/// RFC 9659: browsers refuse more than 8 MiB.
#[test]
fn windows_of_zstd_stay_small() {
    let plain = noise(3_000_000);
    let sent = Encoder::new(Coding::Zstd, 19, None).finished(&plain);
    let mut decoder = zstd::stream::read::Decoder::new(&sent[..]).unwrap();
    decoder.window_log_max(WINDOW).unwrap();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut read).unwrap();
    assert!(read == plain);
}
