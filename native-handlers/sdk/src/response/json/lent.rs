//! Writing without telling the response of each piece.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use bimetal_abi::RESPONSE_LEASED;
use sonic_rs::writer::WriteExt;

use super::text::copy;
use crate::ResponseWriter;

/// The lent buffer while a value is serialized into it: what each piece needs is at hand, and the response learns of all at once.
pub(super) struct Lent<'w, 'a> {
    writer: &'w mut ResponseWriter<'a>,
    /// Where the next byte goes.
    next: *mut u8,
    /// How many bytes there is room for.
    room: usize,
}

impl<'w, 'a> Lent<'w, 'a> {
    #[inline]
    pub(super) fn new(writer: &'w mut ResponseWriter<'a>) -> Lent<'w, 'a> {
        let mut lent = Lent { writer, next: ptr::null_mut(), room: 0 };
        lent.look();
        lent
    }

    /// Takes the place behind what is written, if the response has the lent buffer.
    #[inline]
    fn look(&mut self) {
        match self.writer.spare(0) {
            Some(spare) => (self.next, self.room) = (spare, self.writer.raw.cap - self.writer.raw.len),
            None => self.room = 0,
        }
    }

    /// Tells the response how much is written.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.writer.raw.kind == RESPONSE_LEASED {
            self.writer.raw.len = self.written();
        }
    }

    /// How many bytes are written so far.
    #[inline]
    pub(super) fn written(&self) -> usize {
        // The room is what is left of the buffer.
        self.writer.raw.cap - self.room
    }

    /// Appends text.
    #[inline(always)]
    pub(super) fn piece(&mut self, text: &str) -> io::Result<()> {
        io::Write::write(self, text.as_bytes()).map(|_| ())
    }

    /// Appends the name of a field, which needs no escapes, between what stands before it and its colon.
    #[inline(always)]
    pub(super) fn name(&mut self, before: &str, name: &str) -> io::Result<()> {
        let len = before.len() + name.len() + 3;
        if len > self.room {
            self.grow(len)?;
        }
        // SAFETY: there is room for so many bytes from `next`, in the host's buffer, which holds nothing of ours; they are
        // written in their order.
        unsafe {
            let mut next = self.next;
            for piece in [before, "\"", name, "\":"] {
                copy(piece.as_ptr(), next, piece.len());
                next = next.add(piece.len());
            }
            self.next = next;
        }
        self.room -= len;
        Ok(())
    }

    /// Writes another byte over the one at `place`, which is one of those written.
    pub(super) fn overwrite(&mut self, place: usize, byte: u8) {
        assert!(place < self.written());
        // SAFETY: so many bytes of the buffer are written, and nobody else uses it meanwhile.
        unsafe { self.writer.raw.buf.add(place).write(byte) };
    }

    /// Has room made for `additional` bytes.
    #[cold]
    fn grow(&mut self, additional: usize) -> io::Result<()> {
        self.settle();
        self.writer.spare(additional).ok_or(io::ErrorKind::OutOfMemory)?;
        self.look();
        Ok(())
    }
}

impl io::Write for Lent<'_, '_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room {
            self.grow(bytes.len())?;
        }
        // SAFETY: there is room for so many bytes from `next`, in the host's buffer, which holds nothing of ours.
        unsafe {
            copy(bytes.as_ptr(), self.next, bytes.len());
            self.next = self.next.add(bytes.len());
        }
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(|_| ())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteExt for Lent<'_, '_> {
    #[inline]
    fn reserve_with(&mut self, additional: usize) -> io::Result<&mut [MaybeUninit<u8>]> {
        if additional > self.room {
            self.grow(additional)?;
        }
        // SAFETY: room for so many bytes, lent for writing, borrowed like `self`.
        Ok(unsafe { slice::from_raw_parts_mut(self.next.cast(), additional) })
    }

    #[inline]
    unsafe fn flush_len(&mut self, additional: usize) -> io::Result<()> {
        // SAFETY: by the contract so many bytes were reserved, and written.
        self.next = unsafe { self.next.add(additional) };
        self.room -= additional;
        Ok(())
    }
}
