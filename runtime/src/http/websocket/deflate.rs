//! Messages compressed and inflated, as permessage-deflate has it.
//!
//! zlib's state of a connection that compresses is a fifth of a megabyte. So no connection has one: what it keeps of the messages
//! before is the window, plain bytes, and the state is borrowed from its I/O worker for a message at a time and given the window as
//! its dictionary.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::extension::Agreement;

/// How much is compressed or inflated before others on the I/O worker have their turn.
const SLICE: usize = 32 * 1024;

/// Messages smaller than this are sent as they are.
const SMALLEST: usize = 32;

/// What ends the data of every message, and is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// States that a worker keeps for the next message, of each kind.
const KEPT: usize = 2;

/// Blocks of a message that may say they are the last. A compressor that ends its stream with each message makes one.
const MOST_ENDS: usize = 8;

/// The smallest window zlib knows is twice the smallest of the standard.
const SMALLEST_WINDOW: usize = 512;

thread_local! {
    static COMPRESSORS: RefCell<Vec<(u8, Compress)>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSORS: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// The end of what has been said before, to which a message may refer.
struct Window {
    bytes: Vec<u8>,
    size: usize,
}

impl Window {
    fn new(bits: u8, takeover: bool) -> Window {
        let size = if takeover { (1 << bits).max(SMALLEST_WINDOW) } else { 0 };
        Window { bytes: Vec::new(), size }
    }

    fn extend(&mut self, message: &[u8]) {
        let message = &message[message.len().saturating_sub(self.size)..];
        let surplus = (self.bytes.len() + message.len()).saturating_sub(self.size);
        self.bytes.drain(..surplus);
        self.bytes.reserve_exact(message.len());
        self.bytes.extend_from_slice(message);
    }
}

/// The direction to the client.
pub(super) struct Deflater {
    bits: u8,
    window: Window,
    current: Option<Deflation>,
}

/// A message that is being compressed.
struct Deflation {
    compress: Compress,
    message: Bytes,
    at: usize,
    out: Vec<u8>,
}

impl Deflater {
    pub(super) fn new(agreement: &Agreement) -> Deflater {
        let bits = agreement.server_bits;
        Deflater { bits, window: Window::new(bits, agreement.server_takeover), current: None }
    }

    /// Whether a message of this size is compressed.
    pub(super) fn takes(&self, size: usize) -> bool {
        size >= SMALLEST
    }

    /// Begins with a message, to be gone on with by [`Deflater::step`].
    pub(super) fn begin(&mut self, message: Bytes) {
        let kept = COMPRESSORS.with_borrow_mut(|kept| {
            let place = kept.iter().position(|(bits, _)| *bits == self.bits)?;
            Some(kept.swap_remove(place).1)
        });
        let mut compress =
            kept.unwrap_or_else(|| Compress::new_with_window_bits(Compression::default(), false, self.bits));
        if !self.window.bytes.is_empty() {
            compress.set_dictionary(&self.window.bytes).expect("a new stream takes a dictionary");
        }
        self.current = Some(Deflation { compress, message, at: 0, out: Vec::new() });
    }

    /// Compresses on. When it is done: the message as it is to be sent, and whether that is compressed.
    pub(super) fn step(&mut self) -> Option<(Bytes, bool)> {
        let current = self.current.as_mut()?;
        if !current.step() {
            return None;
        }
        let Deflation { mut compress, message, mut out, .. } = self.current.take()?;
        out.truncate(out.len() - TAIL.len());
        compress.reset();
        COMPRESSORS.with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push((self.bits, compress));
            }
        });
        if out.len() >= message.len() {
            return Some((message, false));
        }
        // The client sees in its window what was compressed, and nothing else.
        self.window.extend(&message);
        Some((out.into(), true))
    }
}

impl Deflation {
    /// True when it is done.
    fn step(&mut self) -> bool {
        let end = self.message.len().min(self.at + SLICE);
        let is_last = end == self.message.len();
        let flush = if is_last { FlushCompress::Sync } else { FlushCompress::None };
        let mut room = [0; 4096];
        loop {
            let before = (self.compress.total_in(), self.compress.total_out());
            self.compress
                .compress(&self.message[self.at..end], &mut room, flush)
                .expect("compressing to memory does not fail");
            self.at += (self.compress.total_in() - before.0) as usize;
            let made = (self.compress.total_out() - before.1) as usize;
            self.out.extend_from_slice(&room[..made]);
            if made < room.len() {
                return is_last;
            }
        }
    }
}

/// The direction from the client.
pub(super) struct Inflater {
    window: Window,
    current: Option<Inflation>,
}

/// A message that is being inflated.
struct Inflation {
    decompress: Decompress,
    text: bool,
    /// With its tail.
    data: Vec<u8>,
    at: usize,
    out: Vec<u8>,
    limit: usize,
    /// Blocks so far that said they were the last.
    ends: usize,
}

/// Why a message is not inflated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Uninflatable {
    /// It is larger than the limit.
    TooBig,
    Invalid,
}

impl Inflater {
    pub(super) fn new(agreement: &Agreement) -> Inflater {
        Inflater { window: Window::new(agreement.client_bits, agreement.client_takeover), current: None }
    }

    /// Begins with the data of a message that may have `limit` bytes, to be gone on with by [`Inflater::step`].
    pub(super) fn begin(&mut self, text: bool, mut data: Vec<u8>, limit: usize) {
        data.extend_from_slice(&TAIL);
        let kept = DECOMPRESSORS.with_borrow_mut(Vec::pop);
        let mut decompress = kept.unwrap_or_else(|| Decompress::new(false));
        refer(&mut decompress, &self.window.bytes);
        self.current = Some(Inflation { decompress, text, data, at: 0, out: Vec::new(), limit, ends: 0 });
    }

    /// Whether a message is being inflated.
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Inflates on. When it is done: whether the message is text, and the message.
    pub(super) fn step(&mut self) -> Result<Option<(bool, Vec<u8>)>, Uninflatable> {
        let Some(current) = &mut self.current else { return Ok(None) };
        if !current.step(&self.window.bytes)? {
            return Ok(None);
        }
        let Some(Inflation { mut decompress, text, out, .. }) = self.current.take() else { return Ok(None) };
        decompress.reset(false);
        DECOMPRESSORS.with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push(decompress);
            }
        });
        self.window.extend(&out);
        Ok(Some((text, out)))
    }
}

impl Inflation {
    /// True when it is done.
    fn step(&mut self, before: &[u8]) -> Result<bool, Uninflatable> {
        let mut room = [0; 8192];
        let end = self.data.len().min(self.at + SLICE);
        let turn = self.out.len() + SLICE;
        while self.out.len() < turn {
            let total = (self.decompress.total_in(), self.decompress.total_out());
            let status = self
                .decompress
                .decompress(&self.data[self.at..end], &mut room, FlushDecompress::Sync)
                .map_err(|_| Uninflatable::Invalid)?;
            self.at += (self.decompress.total_in() - total.0) as usize;
            let made = (self.decompress.total_out() - total.1) as usize;
            if self.out.len() + made > self.limit {
                return Err(Uninflatable::TooBig);
            }
            self.out.extend_from_slice(&room[..made]);
            if status == Status::StreamEnd {
                self.begin_anew(before)?;
            } else if made < room.len() {
                return Ok(end == self.data.len());
            }
        }
        Ok(false)
    }

    /// Goes on behind a block that says it is the last, which the standard allows.
    fn begin_anew(&mut self, before: &[u8]) -> Result<(), Uninflatable> {
        self.ends += 1;
        if self.ends > MOST_ENDS {
            return Err(Uninflatable::Invalid);
        }
        let mut window = Window::new(15, true);
        window.extend(before);
        window.extend(&self.out);
        self.decompress.reset(false);
        refer(&mut self.decompress, &window.bytes);
        Ok(())
    }
}

/// Has what follows refer to `bytes`.
fn refer(decompress: &mut Decompress, bytes: &[u8]) {
    if !bytes.is_empty() {
        decompress.set_dictionary(bytes).expect("a raw stream takes a dictionary at any time");
    }
}

#[cfg(test)]
#[path = "deflate_tests.rs"]
mod tests;
