//! Short text, in a few words at a time.

use std::io;
use std::ptr;

use sonic_rs::format::{CompactFormatter, Formatter};
use sonic_rs::writer::WriteExt;

/// Up to this length text is looked at here: the library's vectors are for longer ones.
pub(super) const SHORT: usize = 32;

/// sonic-rs's compact form, with a shorter way for short text that needs no escapes.
#[derive(Clone)]
pub(super) struct Short;

impl Formatter for Short {
    #[inline(always)]
    fn write_string_fast<W>(&mut self, writer: &mut W, value: &str, need_quote: bool) -> io::Result<()>
    where
        W: ?Sized + WriteExt,
    {
        if !need_quote || value.len() > SHORT || !is_plain(value.as_bytes()) {
            return write_any_string(writer, value, need_quote);
        }
        let quoted = value.len() + 2;
        let place = writer.reserve_with(quoted)?.as_mut_ptr().cast::<u8>();
        // SAFETY: so many bytes were reserved from `place` on, and all of them are written.
        unsafe {
            place.write(b'"');
            copy(value.as_ptr(), place.add(1), value.len());
            place.add(quoted - 1).write(b'"');
            writer.flush_len(quoted)
        }
    }
}

#[inline(never)]
fn write_any_string<W: ?Sized + WriteExt>(writer: &mut W, value: &str, need_quote: bool) -> io::Result<()> {
    CompactFormatter.write_string_fast(writer, value, need_quote)
}

/// Whether text is the same in JSON: no quote, no backslash, no control character.
#[inline(always)]
pub(super) fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<8>() {
        // Word by word; the last one may overlap with the one before.
        let mut words = text.chunks_exact(8).filter_map(<[u8]>::first_chunk::<8>);
        return words.all(|word| is_plain_word(u64::from_le_bytes(*word)))
            && is_plain_word(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return is_plain_word(u64::from(first) | (u64::from(last) << 32));
    }
    let word = match *text {
        [a] => [a, b' ', b' ', b' '],
        [a, b] => [a, b, b' ', b' '],
        [a, b, c] => [a, b, c, b' '],
        _ => [b' '; 4],
    };
    is_plain_word(u64::from(u32::from_le_bytes(word)) | ((EACH * u64::from(b' ')) << 32))
}

const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// The same of eight bytes at a time.
#[inline(always)]
fn is_plain_word(word: u64) -> bool {
    // Subtracting borrows into the high bit of a byte that is less; bytes whose own high bit is set are not. A borrow out of such
    // a byte can only mark bytes above one that is marked rightly.
    let zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let control = word.wrapping_sub(EACH * u64::from(b' ')) & !word;
    let quote = zero(word ^ (EACH * u64::from(b'"')));
    let backslash = zero(word ^ (EACH * u64::from(b'\\')));
    (control | quote | backslash) & HIGH == 0
}

/// Copies `len` bytes: up to [`SHORT`] without a call or a loop, in words that may overlap.
///
/// # Safety
///
/// As for [`ptr::copy_nonoverlapping`].
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: each place is within the `len` bytes: a word is copied where they have room for it, from the first and to the last
    // of them.
    unsafe {
        match len {
            0 => {}
            1..4 => {
                let (first, middle, last) = (*from, *from.add(len / 2), *from.add(len - 1));
                to.write(first);
                to.add(len / 2).write(middle);
                to.add(len - 1).write(last);
            }
            4..8 => copy_ends::<u32>(from, to, len),
            8..16 => copy_ends::<u64>(from, to, len),
            16..=SHORT => copy_ends::<u128>(from, to, len),
            _ => ptr::copy_nonoverlapping(from, to, len),
        }
    }
}

/// Copies the first and the last word of `len` bytes, which are all where there are two words at most.
///
/// # Safety
///
/// As for [`ptr::copy_nonoverlapping`], and `len` is the size of a word at least.
#[inline(always)]
unsafe fn copy_ends<Word: Copy>(from: *const u8, to: *mut u8, len: usize) {
    let last = len - size_of::<Word>();
    // SAFETY: both words lie within the `len` bytes, by this function's contract; any bytes are a word.
    unsafe {
        let words = (from.cast::<Word>().read_unaligned(), from.add(last).cast::<Word>().read_unaligned());
        to.cast::<Word>().write_unaligned(words.0);
        to.add(last).cast::<Word>().write_unaligned(words.1);
    }
}
