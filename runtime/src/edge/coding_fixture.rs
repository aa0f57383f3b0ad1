//! Decoders for the tests of encoders.

use std::io::{self, Read};

use super::Coding;

fn decoder<'a>(coding: Coding, bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    match coding {
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
    }
}

/// A whole body; `None` where it is cut or is none.
pub(super) fn decoded(coding: Coding, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let read: io::Result<usize> = decoder(coding, bytes).read_to_end(&mut plain);
    read.ok().map(|_| plain)
}

/// What can be read of a body that has not ended.
pub(super) fn readable(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = decoder(coding, bytes);
    let mut piece = [0; 64];
    while let Ok(length @ 1..) = decoder.read(&mut piece) {
        plain.extend_from_slice(&piece[..length]);
    }
    plain
}

/// Bytes that do not compress to nothing.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}
