//! Writing a response into what the host lent, or handing it memory of the plugin's own.

use std::ffi::c_void;
use std::io;
use std::mem::offset_of;
use std::ptr;

use bimetal_abi::{
    BmHeader, BmResponse, BmSlice, RESPONSE_LEASED, RESPONSE_OWNED, RESPONSE_STATIC, RESPONSE_STREAM,
    RESULT_OK, RESULT_PANIC,
};
use serde::Serialize;

use super::json;
use super::stream::{self, ChunkStream};
use crate::entry::guard;
use crate::{host, runtime};

/// Bodies up to this size are copied into the lent buffer: cheaper than handing over memory and getting it back.
const COPIED: usize = 1024;

/// Where a response is written to.
///
/// ```
/// use bimetal::ResponseWriter;
///
/// fn picture(response: &mut ResponseWriter<'_>) {
///     response.set_status(200);
///     response.set_content_type("image/gif");
///     response.write_static(b"GIF89a");
/// }
/// ```
pub struct ResponseWriter<'a> {
    pub(super) raw: &'a mut BmResponse,
    failed: bool,
}

/// What a response keeps alive until the host releases it.
#[derive(Default)]
pub(super) struct Owner {
    _body: Option<Box<dyn AsRef<[u8]> + Send>>,
    pub(super) stream: Option<ChunkStream>,
    text: Vec<(String, String)>,
    _content_type: String,
    headers: Vec<BmHeader>,
}

unsafe extern "C" fn release(owner: *mut c_void) {
    // The drop code of a body or a stream may panic, and must not do so into the host.
    let dropped = guard(|| {
        // SAFETY: made by `ResponseWriter::own`; the host calls this once.
        let mut owner = unsafe { Box::from_raw(owner.cast::<Owner>()) };
        if let Some(stream) = owner.stream.take() {
            runtime::within(|| drop(stream));
        }
        RESULT_OK
    });
    if dropped == RESULT_PANIC {
        host::log::error("a response panicked when it was dropped");
    }
}

impl<'a> ResponseWriter<'a> {
    /// A writer for the response the host passed.
    ///
    /// # Safety
    ///
    /// `raw` is a response as the host prepares it, not used by anyone else for `'a`.
    pub(crate) unsafe fn new(raw: *mut BmResponse) -> ResponseWriter<'a> {
        // SAFETY: by this function's contract.
        ResponseWriter { raw: unsafe { &mut *raw }, failed: false }
    }

    /// Sets the status code; 200 without.
    ///
    /// ```
    /// fn accepted(response: &mut bimetal::ResponseWriter<'_>) {
    ///     response.set_status(202);
    /// }
    /// ```
    pub fn set_status(&mut self, status: u16) {
        self.raw.status = status.into();
    }

    /// Sets the content type; none is sent without.
    ///
    /// ```
    /// fn csv(response: &mut bimetal::ResponseWriter<'_>) {
    ///     response.set_content_type("text/csv");
    /// }
    /// ```
    pub fn set_content_type(&mut self, content_type: &'static str) {
        self.raw.content_type = BmSlice::borrow_str(content_type);
    }

    /// Appends to the body.
    ///
    /// ```
    /// fn numbers(response: &mut bimetal::ResponseWriter<'_>) {
    ///     for number in 0..3_u8 {
    ///         response.write(number.to_string().as_bytes());
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        match self.spare(bytes.len()) {
            Some(spare) => {
                // SAFETY: `spare` has room for them, and is the host's, not ours.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), spare, bytes.len()) };
                self.raw.len += bytes.len();
            }
            None => self.fail("the response is larger than the host allows"),
        }
    }

    /// Makes a constant the body, without a copy.
    ///
    /// ```
    /// fn fixed(response: &mut bimetal::ResponseWriter<'_>) {
    ///     response.write_static(b"fixed");
    /// }
    /// ```
    pub fn write_static(&mut self, bytes: &'static [u8]) {
        self.raw.kind = RESPONSE_STATIC;
        self.raw.buf = bytes.as_ptr().cast_mut();
        self.raw.len = bytes.len();
    }

    /// Makes `body` the body, without a copy where it is large.
    ///
    /// ```
    /// fn large(response: &mut bimetal::ResponseWriter<'_>) {
    ///     response.write_owned(vec![b'x'; 1 << 20]);
    /// }
    /// ```
    pub fn write_owned(&mut self, body: impl AsRef<[u8]> + Send + 'static) {
        if body.as_ref().len() <= COPIED {
            return self.write(body.as_ref());
        }
        let body: Box<dyn AsRef<[u8]> + Send> = Box::new(body);
        let bytes = (*body).as_ref();
        self.raw.kind = RESPONSE_OWNED;
        self.raw.buf = bytes.as_ptr().cast_mut();
        self.raw.len = bytes.len();
        self.own(Owner { _body: Some(body), ..Owner::default() });
    }

    /// Makes what `stream` gives the body, with this content type, if any.
    pub(super) fn write_stream(&mut self, stream: ChunkStream, content_type: Option<String>) {
        if (self.raw.size as usize) < offset_of!(BmResponse, next) + size_of_val(&self.raw.next) {
            return self.fail("this host takes no streams; update Bimetal");
        }
        if let Some(content_type) = &content_type {
            // The text stays where it is when the `String` is moved into the owner.
            self.raw.content_type = BmSlice::borrow_str(content_type);
        }
        self.raw.kind = RESPONSE_STREAM;
        self.raw.next = Some(stream::next);
        let _content_type = content_type.unwrap_or_default();
        self.own(Owner { stream: Some(stream), _content_type, ..Owner::default() });
    }

    /// Makes `value` as JSON the body.
    ///
    /// ```
    /// fn list(response: &mut bimetal::ResponseWriter<'_>) {
    ///     response.set_content_type("application/json");
    ///     response.write_json(&[1, 2, 3]);
    /// }
    /// ```
    pub fn write_json<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(error) = json::append(self, value) {
            self.fail(&error.to_string());
        }
    }

    /// Sets header fields and, if given, a content type made at run time.
    pub(crate) fn set_headers(&mut self, headers: Vec<(String, String)>, content_type: Option<String>) {
        let list = headers
            .iter()
            .map(|(name, value)| BmHeader {
                name: BmSlice::borrow_str(name),
                value: BmSlice::borrow_str(value),
            })
            .collect();
        if let Some(content_type) = &content_type {
            // The text stays where it is when the `String` is moved into the owner.
            self.raw.content_type = BmSlice::borrow_str(content_type);
        }
        if !headers.is_empty() || content_type.is_some() {
            self.own(Owner {
                text: headers,
                _content_type: content_type.unwrap_or_default(),
                headers: list,
                ..Owner::default()
            });
        }
    }

    /// Adds header fields to those there are; one called `content-type` replaces the body's.
    pub(crate) fn add_headers(&mut self, mut added: Vec<(String, String)>) {
        let content_type = added.iter().rposition(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|index| added.swap_remove(index).1);
        added.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        let mut headers = Vec::new();
        if self.raw.release.is_some() {
            // SAFETY: made by `own`, not released yet, and not used elsewhere meanwhile.
            let earlier = unsafe { &mut *self.raw.owner.cast::<Owner>() };
            headers = std::mem::take(&mut earlier.text);
            earlier.headers = Vec::new();
        }
        headers.append(&mut added);
        self.set_headers(headers, content_type);
    }

    /// Whether the response had to be replaced by a 500.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Replaces the response by a 500 and logs why.
    pub(crate) fn fail(&mut self, reason: &str) {
        host::log::error(format_args!("a response could not be written: {reason}"));
        self.failed = true;
        self.set_status(500);
        self.set_content_type("application/json");
        self.write_static(b"{\"detail\":\"Internal Server Error\"}");
    }

    /// Hands over what the host has to release. What an earlier call handed over is kept with it.
    fn own(&mut self, mut owner: Owner) {
        if self.raw.release.is_some() {
            // SAFETY: made below, and not released yet.
            let earlier = unsafe { Box::from_raw(self.raw.owner.cast::<Owner>()) };
            let Owner { _body, stream, text, _content_type, headers } = *earlier;
            owner._body = owner._body.or(_body);
            owner.stream = owner.stream.or(stream);
            if owner.headers.is_empty() {
                (owner.text, owner.headers) = (text, headers);
            }
            if owner._content_type.is_empty() {
                owner._content_type = _content_type;
            }
        }
        let owner = Box::new(owner);
        self.raw.headers = owner.headers.as_ptr();
        self.raw.n_headers = owner.headers.len() as u32;
        self.raw.owner = Box::into_raw(owner).cast();
        self.raw.release = Some(release);
    }

    /// The place behind what is written, with room for `additional` bytes.
    #[inline]
    pub(super) fn spare(&mut self, additional: usize) -> Option<*mut u8> {
        if self.raw.kind != RESPONSE_LEASED {
            return None;
        }
        let wanted = self.raw.len.checked_add(additional)?;
        if wanted > self.raw.cap {
            self.grow(wanted)?;
        }
        // SAFETY: `len` is within the buffer's `cap` bytes.
        Some(unsafe { self.raw.buf.add(self.raw.len) })
    }

    /// Has the host lend at least `wanted` bytes.
    #[cold]
    fn grow(&mut self, wanted: usize) -> Option<()> {
        let grow = host::table()?.response_grow?;
        // SAFETY: the host's function with the response of the running call, of which `len` bytes are written.
        (unsafe { grow(self.raw, wanted) } == RESULT_OK && self.raw.cap >= wanted).then_some(())
    }
}

impl io::Write for ResponseWriter<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ResponseWriter::write(self, bytes);
        if self.failed {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write(self, bytes).map(|_| ())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
