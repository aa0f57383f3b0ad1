//! From what a handler wrote to a response, everything checked.

use std::ffi::c_void;
use std::slice;
use std::sync::Arc;

use bimetal_abi::{
    BmHeader, BmResponse, BmSlice, RESPONSE_LEASED, RESPONSE_OWNED, RESPONSE_STATIC, RESPONSE_STREAM,
};
use bimetal_runtime::http::{header, HeaderFields, HeaderName, HeaderValue, StatusCode};
use bimetal_runtime::{Body, Response};
use bytes::Bytes;

use super::frame::Source;
use super::lease::Lease;
use super::stream::PluginStream;
use super::Bound;
use crate::plugin::{Plugin, ReleaseFn};

/// More header fields than any response has: a larger number is garbage.
const MAX_HEADERS: u32 = 1024;

/// Header fields that say how the message is framed: the server writes them.
const FRAMING: [HeaderName; 3] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// Gives back what a plugin lent, once.
pub(super) struct Release {
    owner: *mut c_void,
    release: Option<ReleaseFn>,
}

impl Release {
    pub(super) fn new(owner: *mut c_void, release: Option<ReleaseFn>) -> Release {
        Release { owner, release }
    }

    /// The plugin's pointer, not released yet.
    pub(super) fn owner(&self) -> *mut c_void {
        self.owner
    }

    /// Whether there is nothing to give back.
    pub(super) fn is_none(&self) -> bool {
        self.release.is_none()
    }
}

// SAFETY: the ABI lets `release` be called from any thread.
unsafe impl Send for Release {}

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            // SAFETY: the plugin's function with its own pointer, called once; nothing it frees is used any more.
            unsafe { release(self.owner) };
        }
    }
}

/// A body in a plugin's memory. Fields are dropped in this order: the generation is there until its memory is given back.
pub(super) struct OwnedBody {
    bytes: BmSlice,
    _release: Release,
    _plugin: Arc<Plugin>,
}

impl OwnedBody {
    pub(super) fn new(bytes: BmSlice, release: Release, plugin: &Arc<Plugin>) -> OwnedBody {
        OwnedBody { bytes, _release: release, _plugin: Arc::clone(plugin) }
    }
}

impl AsRef<[u8]> for OwnedBody {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the plugin keeps the bytes unchanged until `release`, which is called when this is dropped.
        unsafe { self.bytes.bytes() }.unwrap_or_default()
    }
}

/// The response, or what is wrong with it. What the plugin lent is given back in both cases. Where the client wants the
/// head only, a stream is not asked for anything.
#[inline(always)]
pub(super) fn finish(
    lease: &mut Lease,
    raw: &BmResponse,
    bound: &Bound,
    source: Source<'_>,
) -> Result<Response, String> {
    let release = Release::new(raw.owner, raw.release);
    let status = u16::try_from(raw.status)
        .ok()
        .filter(|status| (200..=599).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| format!("its status {} is not within 200 to 599", raw.status))?;
    let mut headers = match content_type(raw.content_type)? {
        // In place, where most responses have their only field.
        Some(value) => HeaderFields::from_buf([(header::CONTENT_TYPE, value)]),
        None => HeaderFields::new(),
    };
    if raw.n_headers > 0 {
        copy_headers(raw, &mut headers)?;
    }
    let body = match raw.kind {
        RESPONSE_STREAM => {
            let next = raw.next.ok_or("its body is a stream, and there is no function for its chunks")?;
            let wanted = source.method() != "HEAD";
            Body::Stream(Box::pin(PluginStream::new(wanted.then_some(next), release, bound)))
        }
        _ => whole_body(lease, raw, release, &bound.plugin)?,
    };
    Ok(Response { status, headers, body, unhandled: false, phases: None })
}

#[inline]
fn whole_body(
    lease: &mut Lease,
    raw: &BmResponse,
    release: Release,
    plugin: &Arc<Plugin>,
) -> Result<Body, String> {
    let missing = || format!("its body is a null pointer with a length of {}", raw.len);
    match raw.kind {
        RESPONSE_LEASED | RESPONSE_OWNED | RESPONSE_STATIC if raw.len == 0 => Ok(Body::EMPTY),
        RESPONSE_LEASED if raw.buf.is_null() => Err(missing()),
        RESPONSE_LEASED if raw.len > raw.cap => {
            Err(format!("its body has {} bytes, the buffer it was lent {}", raw.len, raw.cap))
        }
        RESPONSE_LEASED if !lease.lent(raw.buf, raw.cap) => {
            Err("it replaced the buffer it was lent without saying so in the response's kind".to_owned())
        }
        // SAFETY: the handler says that it has written so many bytes of the lent buffer.
        RESPONSE_LEASED => match unsafe { lease.split(raw.len) } {
            Some(bytes) => Ok(Body::Full(bytes)),
            None => Err(format!("its body has {} bytes, more than it was lent", raw.len)),
        },
        RESPONSE_OWNED | RESPONSE_STATIC => {
            let bytes = BmSlice { ptr: raw.buf, len: raw.len };
            // SAFETY: the plugin says that so many bytes are there, until `release` or for good.
            let body: &'static [u8] = unsafe { bytes.bytes() }.ok_or_else(missing)?;
            if raw.kind == RESPONSE_STATIC {
                Ok(Body::Full(Bytes::from_static(body)))
            } else {
                Ok(Body::Full(Bytes::from_owner(OwnedBody::new(bytes, release, plugin))))
            }
        }
        other => Err(format!("its kind {other} is unknown")),
    }
}

#[inline]
fn content_type(raw: BmSlice) -> Result<Option<HeaderValue>, String> {
    const JSON: &[u8] = b"application/json";
    const TEXT: &[u8] = b"text/plain; charset=utf-8";
    const BYTES: &[u8] = b"application/octet-stream";
    // SAFETY: valid until `release`, which is not called before this returns.
    let Some(text) = (unsafe { raw.bytes() }) else {
        return Err("its content type is a null pointer with a length".to_owned());
    };
    // Each of its own length: with that known, comparing takes a few words.
    match text.len() {
        0 => Ok(None),
        16 if text == JSON => Ok(Some(const { HeaderValue::from_static("application/json") })),
        25 if text == TEXT => Ok(Some(const { HeaderValue::from_static("text/plain; charset=utf-8") })),
        24 if text == BYTES => Ok(Some(const { HeaderValue::from_static("application/octet-stream") })),
        _ => header_value(b"content-type", text).map(Some),
    }
}

fn copy_headers(raw: &BmResponse, into: &mut HeaderFields) -> Result<(), String> {
    if raw.n_headers > MAX_HEADERS || raw.headers.is_null() || !raw.headers.is_aligned() {
        return Err(format!("its list of {} header fields cannot be read", raw.n_headers));
    }
    // SAFETY: not null, aligned, and the plugin says that so many are there until `release`.
    let fields: &[BmHeader] = unsafe { slice::from_raw_parts(raw.headers, raw.n_headers as usize) };
    into.reserve(fields.len());
    for field in fields {
        // SAFETY: valid until `release`, which is not called before this returns.
        let (name, value) = unsafe { (field.name.bytes(), field.value.bytes()) };
        let (Some(name), Some(value)) = (name, value) else {
            return Err("a header field is a null pointer with a length".to_owned());
        };
        let parsed = HeaderName::from_bytes(name)
            .map_err(|_| format!("`{}` is not the name of a header field", name.escape_ascii()))?;
        if FRAMING.contains(&parsed) {
            return Err(format!("it sets the header field `{parsed}`, which the server writes"));
        }
        into.push((parsed, header_value(name, value)?));
    }
    Ok(())
}

fn header_value(name: &[u8], value: &[u8]) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(value).map_err(|_| {
        format!(
            "its header field `{}` has a value with a forbidden byte (like CR or LF)",
            name.escape_ascii()
        )
    })
}
