//! Bytes into gzip, at once or in pieces.

use std::io::Write;

use flate2::write::GzEncoder;

/// A body that is being compressed.
///
/// ```
/// use bimetal_runtime::edge::Gzip;
///
/// let mut gzip = Gzip::new(9);
/// let mut sent = gzip.flushed(b"the first part, ");
/// sent.extend(gzip.finished(b"and the last"));
/// assert_eq!(sent[..2], [0x1f, 0x8b]);
/// ```
pub struct Gzip {
    /// `None` once finished.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    /// `level` as in zlib: 0 (stored) to 9 (smallest).
    pub fn new(level: u32) -> Gzip {
        Gzip { encoder: Some(GzEncoder::new(Vec::new(), flate2::Compression::new(level.min(9)))) }
    }

    /// Compresses a part, so that a client can read all of it.
    pub fn flushed(&mut self, part: &[u8]) -> Vec<u8> {
        self.step(part, true)
    }

    /// Compresses the last part; nothing comes after it.
    pub fn finished(&mut self, part: &[u8]) -> Vec<u8> {
        let mut all = self.step(part, false);
        if let Some(encoder) = self.encoder.take() {
            let rest = encoder.finish().expect("writing to memory does not fail");
            if all.is_empty() {
                return rest;
            }
            all.extend(rest);
        }
        all
    }

    /// Compresses a part; what comes of it may come later.
    pub(super) fn part(&mut self, part: &[u8]) -> Vec<u8> {
        self.step(part, false)
    }

    fn step(&mut self, part: &[u8], flush: bool) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return Vec::new() };
        let written = encoder.write_all(part).and_then(|()| if flush { encoder.flush() } else { Ok(()) });
        written.expect("writing to memory does not fail");
        std::mem::take(encoder.get_mut())
    }
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
mod tests;
