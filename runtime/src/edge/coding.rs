//! The codings that bodies can have, and the encoders that give them these.

use std::io::Write;

use super::Gzip;
use crate::{Error, ErrorKind};

/// The most that an encoder remembers of what it has compressed, as a power of two: 256 KiB. What it allocates besides is a
/// multiple of that, whatever the body's size.
const WINDOW: u32 = 18;

/// What brotli calls its buffer for output.
const BROTLI_BUFFER: usize = 8 * 1024;

/// A coding of bodies, by its name in `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `zstd`, RFC 8878.
    Zstd,
    /// `br`, RFC 7932.
    Brotli,
    /// `gzip`, RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, the most wanted first where a client wants several as much.
    pub const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// Its name in HTTP.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// The lowest and the highest level of its encoder, and the usual one: fast enough for a body that is made for one
    /// response.
    pub fn levels(self) -> (u32, u32, u32) {
        match self {
            Coding::Zstd => (1, 19, 3),
            Coding::Brotli => (0, 11, 4),
            Coding::Gzip => (1, 9, 6),
        }
    }

    /// The coding of this name, in letters of any case.
    pub(super) fn named(name: &[u8]) -> Option<Coding> {
        let is_named = |coding: &Coding| name.eq_ignore_ascii_case(coding.token().as_bytes());
        let found = Coding::ALL.into_iter().find(is_named);
        // RFC 9110, 8.4.1.3.
        found.or_else(|| name.eq_ignore_ascii_case(b"x-gzip").then_some(Coding::Gzip))
    }

    /// Checks a level. An error of kind `Config` has the levels there are.
    pub(super) fn check(self, level: u32) -> Result<(), Error> {
        let (lowest, highest, _) = self.levels();
        if (lowest..=highest).contains(&level) {
            return Ok(());
        }
        let name = self.token();
        let message =
            format!("compression level {level} of {name}: there are the levels {lowest} to {highest}");
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// A body that is being encoded.
///
/// ```
/// use bimetal_runtime::edge::{Coding, Encoder};
///
/// let mut encoder = Encoder::new(Coding::Zstd, 3, None);
/// let mut sent = encoder.flushed(b"the first part, ");
/// sent.extend(encoder.finished(b"and the last"));
/// assert_eq!(sent[..4], [0x28, 0xb5, 0x2f, 0xfd]);
/// ```
pub struct Encoder {
    inner: Inner,
}

enum Inner {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(Gzip),
    Finished,
}

impl From<Gzip> for Encoder {
    fn from(gzip: Gzip) -> Encoder {
        Encoder { inner: Inner::Gzip(gzip) }
    }
}

impl Encoder {
    /// `level` is one of the coding's, `size` the length of the body where that is known: small ones need less memory.
    pub fn new(coding: Coding, level: u32, size: Option<usize>) -> Encoder {
        let inner = match coding {
            Coding::Zstd => Inner::Zstd(zstd_encoder(level, size).expect("zstd takes what it is set to")),
            Coding::Brotli => {
                let window =
                    size.map_or(WINDOW, |size| (usize::BITS - size.leading_zeros()).clamp(10, WINDOW));
                let params = brotli::enc::BrotliEncoderParams {
                    quality: level as i32,
                    lgwin: window as i32,
                    size_hint: size.unwrap_or(0),
                    ..Default::default()
                };
                let made = brotli::CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &params);
                Inner::Brotli(Box::new(made))
            }
            Coding::Gzip => Inner::Gzip(Gzip::new(level)),
        };
        Encoder { inner }
    }

    /// Compresses a part, so that a client can read all of it.
    pub fn flushed(&mut self, part: &[u8]) -> Vec<u8> {
        match &mut self.inner {
            Inner::Gzip(gzip) => gzip.flushed(part),
            _ => self.step(part, true),
        }
    }

    /// Compresses the last part; nothing comes after it.
    pub fn finished(&mut self, part: &[u8]) -> Vec<u8> {
        let mut all = self.part(part);
        let rest = match std::mem::replace(&mut self.inner, Inner::Finished) {
            Inner::Zstd(encoder) => encoder.finish().expect("writing to memory does not fail"),
            Inner::Brotli(encoder) => encoder.into_inner(),
            Inner::Gzip(mut gzip) => gzip.finished(b""),
            Inner::Finished => Vec::new(),
        };
        if all.is_empty() {
            return rest;
        }
        all.extend(rest);
        all
    }

    /// Compresses a part; what comes of it may come later.
    pub(super) fn part(&mut self, part: &[u8]) -> Vec<u8> {
        match &mut self.inner {
            Inner::Gzip(gzip) => gzip.part(part),
            _ => self.step(part, false),
        }
    }

    fn step(&mut self, part: &[u8], flush: bool) -> Vec<u8> {
        fn write(encoder: &mut impl Write, part: &[u8], flush: bool) {
            let written = encoder.write_all(part).and_then(|()| if flush { encoder.flush() } else { Ok(()) });
            written.expect("writing to memory does not fail");
        }
        match &mut self.inner {
            Inner::Zstd(encoder) => {
                write(encoder, part, flush);
                std::mem::take(encoder.get_mut())
            }
            Inner::Brotli(encoder) => {
                write(encoder, part, flush);
                std::mem::take(encoder.get_mut())
            }
            Inner::Gzip(_) | Inner::Finished => Vec::new(),
        }
    }
}

fn zstd_encoder(
    level: u32,
    size: Option<usize>,
) -> std::io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level as i32)?;
    // Also what clients need: RFC 9659 has them refuse windows above 8 MiB.
    encoder.window_log(WINDOW)?;
    encoder.set_pledged_src_size(size.map(|size| size as u64))?;
    Ok(encoder)
}

#[cfg(test)]
#[path = "coding_tests.rs"]
mod tests;
