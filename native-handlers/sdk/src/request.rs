//! The request, borrowed from the host.

use std::any::Any;
use std::ffi::c_void;
use std::time::{Duration, Instant};

use bimetal_abi::{BmRequest, BmSlice, RESULT_OK, SERVER_DRAINING, SERVER_READY};

use crate::host;

/// A plugin's state, with its type erased.
pub type AnyState = Box<dyn Any + Send + Sync>;

/// A borrowed request: what extractors read.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: &'r BmRequest,
    state: Option<&'r AnyState>,
}

/// Where the server that serves a request is in its life.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// fn ready(state: ServerState) -> (u16, &'static str) {
///     match state {
///         ServerState::Ready => (200, "ready"),
///         ServerState::Starting | ServerState::Draining => (503, "not now"),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// It does not take requests of the application yet.
    Starting,
    /// It takes requests.
    Ready,
    /// It finishes what it has and ends.
    Draining,
}

/// When the answer to a request is due: a `blocking` or `async` handler without one by then is answered for with 504. `None` for
/// a sync handler, which nothing can end. For what the handler itself waits for.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[native_handler]
/// async fn patient(Deadline(due): Deadline) -> Json<Option<f64>> {
///     Json(due.map(|due| due.saturating_duration_since(std::time::Instant::now()).as_secs_f64()))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Option<Instant>);

impl<'r> Request<'r> {
    /// The request behind the pointers the host passes.
    ///
    /// # Safety
    ///
    /// `raw` and what it points to are valid for `'r`, as the ABI says; `state` is null or what `init` returned.
    pub(crate) unsafe fn new(raw: *const BmRequest, state: *mut c_void) -> Request<'r> {
        // SAFETY: by this function's contract.
        unsafe { Request { raw: &*raw, state: state.cast::<AnyState>().as_ref() } }
    }

    /// For the host's functions.
    pub(crate) fn context(self) -> *const c_void {
        self.raw.ctx
    }

    /// When the answer is due.
    pub(crate) fn deadline(self) -> Option<Instant> {
        let now = host::table()?.now_ns?;
        let due = Some(self.raw.deadline_ns).filter(|due| *due > 0)?;
        // SAFETY: the host's function.
        let left = due.saturating_sub(unsafe { now() });
        Instant::now().checked_add(Duration::from_nanos(left))
    }

    pub(crate) fn method(self) -> &'r str {
        text(self.raw.method)
    }

    pub(crate) fn path(self) -> &'r str {
        text(self.raw.path)
    }

    pub(crate) fn query(self) -> &'r str {
        text(self.raw.query)
    }

    pub(crate) fn body(self) -> &'r [u8] {
        // SAFETY: the host's slices are valid for `'r`.
        unsafe { self.raw.body.bytes() }.unwrap_or_default()
    }

    /// Path parameter `index` in the order in which the handler lists them.
    pub(crate) fn param(self, index: usize) -> &'r str {
        if index >= self.raw.n_params as usize || self.raw.params.is_null() {
            return "";
        }
        // SAFETY: the host lists `n_params` of them, valid for `'r`.
        text(unsafe { *self.raw.params.add(index) })
    }

    pub(crate) fn state(self) -> Option<&'r AnyState> {
        self.state
    }

    /// The first value of a header; `name` in any case.
    pub(crate) fn header(self, name: &str) -> Option<&'r [u8]> {
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            self.lower_header(&name.to_ascii_lowercase())
        } else {
            self.lower_header(name)
        }
    }

    /// The first value of a header whose name is in lower case, as the host wants it.
    pub(crate) fn lower_header(self, name: &str) -> Option<&'r [u8]> {
        let get = host::table()?.header_get?;
        let mut value = BmSlice::EMPTY;
        // SAFETY: the host's function with the context of this request, which is still borrowed.
        let result = unsafe { get(self.raw.ctx, BmSlice::borrow_str(name), &mut value) };
        // SAFETY: the value is valid as long as the request.
        (result == RESULT_OK).then(|| unsafe { value.bytes() }.unwrap_or_default())
    }

    /// Every header field: in no certain order, but those of one name in theirs.
    pub(crate) fn headers(self) -> Vec<(String, Vec<u8>)> {
        unsafe extern "C" fn visit(visitor: *mut c_void, name: BmSlice, value: BmSlice) {
            let _ = std::panic::catch_unwind(|| {
                // SAFETY: the pointer is that of `fields`, which is not used meanwhile; the slices are valid during the call.
                unsafe {
                    let fields = &mut *visitor.cast::<Vec<(String, Vec<u8>)>>();
                    fields.push((text(name).to_owned(), value.bytes().unwrap_or_default().to_vec()));
                }
            });
        }
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        if let Some(each) = host::table().and_then(|host| host.header_each) {
            // SAFETY: the host's function with the context of this request; `visit` gets the pointer it expects.
            unsafe { each(self.raw.ctx, visit, (&raw mut fields).cast()) };
        }
        fields
    }

    pub(crate) fn server_state(self) -> ServerState {
        let Some(state) = host::table().and_then(|host| host.server_state) else {
            return ServerState::Starting;
        };
        // SAFETY: the host's function with the context of this request.
        match unsafe { state(self.raw.ctx) } {
            SERVER_READY => ServerState::Ready,
            SERVER_DRAINING => ServerState::Draining,
            _ => ServerState::Starting,
        }
    }
}

/// Method, path, query string, path parameters and names of header fields: what the ABI calls text in a request.
fn text<'r>(slice: BmSlice) -> &'r str {
    // SAFETY: only called with the text fields of the host's request, which are valid for the request's lifetime, and UTF-8:
    // looking at every byte again would cost each parameter more than reading it.
    unsafe { str::from_utf8_unchecked(slice.bytes().unwrap_or_default()) }
}
