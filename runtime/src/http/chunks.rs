//! Where a chunked body ends: its framing, followed byte by byte as it passes.
//!
//! actix-http skips the trailer without looking at its line ends, and takes chunk extensions and trailers of any size.

use super::strict::is_token;
use super::Refusal;

/// How many bytes the chunk extensions and trailer fields of one body may have together.
const MAX_ANCILLARY: u16 = 16 * 1024;

/// As many digits as a `u64` has: more are a number that nobody needs, or zeros.
const MAX_DIGITS: u8 = 16;

/// Fields that say something of the request as a whole. Whoever on the way takes them from the trailer reads another request.
const NOT_IN_TRAILER: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];

/// How far a chunked body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    at: At,
    /// Bytes of the chunk that are to come; before them, its size as far as it is known.
    left: u64,
    /// Bytes of extensions and trailer fields so far.
    ancillary: u16,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A size, of which there are so many digits.
    Size(u8),
    /// Spaces between the size and an extension.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// A trailer field, or the end.
    Line,
    /// A name of which there are `length` bytes, and which may become those of [`NOT_IN_TRAILER`] whose bit is set.
    FieldName {
        length: u8,
        forbidden: u8,
    },
    FieldValue,
    FieldLf,
    LastLf,
}

impl Chunks {
    pub(crate) fn new() -> Chunks {
        Chunks { at: At::Size(0), left: 0, ancillary: 0 }
    }

    /// Goes on with `bytes`; how many of them belong to the body, if it ends among them.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut index = 0;
        while index < bytes.len() {
            if self.at == At::Data {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - index);
                index += length;
                self.left -= length as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let byte = bytes[index];
            index += 1;
            if self.at == At::LastLf {
                return if byte == b'\n' { Ok(Some(index)) } else { Err(Refusal::Chunk) };
            }
            self.at = self.step(byte).ok_or(Refusal::Chunk)?;
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size(digits), _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_DIGITS {
                    return None;
                }
                self.left = (self.left << 4) | u64::from(char::from(byte).to_digit(16)?);
                At::Size(digits + 1)
            }
            (At::Size(0), _) => return None,
            (At::Size(_) | At::Extension, b'\r') => At::SizeLf,
            (At::Size(_), b' ' | b'\t') => At::Space,
            (At::Size(_) | At::Space, b';') => At::Extension,
            (At::Space, b' ' | b'\t') => self.count(At::Space)?,
            (At::Extension, _) if is_text(byte) && byte.is_ascii() => self.count(At::Extension)?,
            (At::SizeLf, b'\n') if self.left == 0 => At::Line,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(0),
            (At::Line, b'\r') => At::LastLf,
            (At::Line, _) if is_token(byte) => self.count(name(byte, 0, u8::MAX))?,
            (At::FieldName { length, forbidden }, _) if is_token(byte) => {
                self.count(name(byte, length, forbidden))?
            }
            (At::FieldName { length, forbidden }, b':') => {
                let is = |(bit, name): (usize, &&[u8])| {
                    forbidden >> bit & 1 == 1 && name.len() == usize::from(length)
                };
                if NOT_IN_TRAILER.iter().enumerate().any(is) {
                    return None;
                }
                At::FieldValue
            }
            (At::FieldValue, b'\r') => At::FieldLf,
            (At::FieldValue, _) if is_text(byte) => self.count(At::FieldValue)?,
            (At::FieldLf, b'\n') => At::Line,
            _ => return None,
        })
    }

    fn count(&mut self, next: At) -> Option<At> {
        self.ancillary += 1;
        (self.ancillary <= MAX_ANCILLARY).then_some(next)
    }
}

/// The name of a trailer field with one byte more behind `length` others.
fn name(byte: u8, length: u8, forbidden: u8) -> At {
    let goes_on = |name: &[u8]| name.get(usize::from(length)) == Some(&byte.to_ascii_lowercase());
    let matching = NOT_IN_TRAILER.iter().rev().fold(0, |bits, name| bits << 1 | u8::from(goes_on(name)));
    At::FieldName { length: length.saturating_add(1), forbidden: forbidden & matching }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
