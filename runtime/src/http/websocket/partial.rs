//! A message that comes in several frames.

use std::str;

use bytes::{Bytes, BytesMut};

/// The frames of a message so far.
pub(super) struct Partial {
    text: bool,
    compressed: bool,
    bytes: BytesMut,
    /// How many of the bytes are whole characters.
    checked: usize,
}

impl Partial {
    pub(super) fn new(text: bool, compressed: bool) -> Partial {
        Partial { text, compressed, bytes: BytesMut::new(), checked: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_text(&self) -> bool {
        self.text
    }

    /// False if the message cannot become valid text any more.
    pub(super) fn append(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        if !self.text || self.compressed {
            return true;
        }
        match str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return false,
        }
        true
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}
