use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::*;
use crate::edge::coding_fixture::noise;

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn what_was_flushed_can_be_read() {
    let mut gzip = Gzip::new(6);
    let mut sent = gzip.flushed(b"first");
    let mut plain = Vec::new();
    // There is no end yet, but the first part is there.
    let _ = flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain);
    assert_eq!(plain, b"first");
    sent.extend(gzip.flushed(b""));
    sent.extend(gzip.finished(b" last"));
    assert_eq!(unzipped(&sent), b"first last");
}

#[test]
fn every_level_compresses() {
    for level in 0..=9 {
        for plain in [&b""[..], b"x", &[b'x'; 10_000], &noise(10_000)] {
            assert_eq!(unzipped(&Gzip::new(level).finished(plain)), plain, "{level}");
        }
    }
    assert!(Gzip::new(9).finished(&[b'x'; 10_000]).len() < 100);
}
