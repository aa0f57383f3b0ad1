//! What a plugin exports: itself and its handlers.

use core::ffi::c_void;

use crate::{BmFuture, BmHost, BmRequest, BmResponse, BmSlice};

/// The type of the exported function [`SYMBOL`](crate::SYMBOL). It returns the same table each time, static and never
/// changed afterwards, or null when the plugin cannot describe itself.
pub type PluginEntry = unsafe extern "C" fn() -> *const BmPlugin;

/// Panics unwind and are caught at every entry.
pub const PANIC_UNWIND: u32 = 0;
/// Panics end the process: such a plugin is refused.
pub const PANIC_ABORT: u32 = 1;
/// The plugin's language has no panics (C).
pub const PANIC_NONE: u32 = 2;

/// Bits of [`BmHandler::flags`] that hold the kind.
pub const HANDLER_KIND_MASK: u32 = 0b11;
/// Answers in `call`, at once, on the I/O worker.
pub const HANDLER_SYNC: u32 = 0;
/// Answers in `call`, may block, is called on a thread of the host's blocking pool.
pub const HANDLER_BLOCKING: u32 = 1;
/// Answers through a future made by `start` and polled by the host on the I/O worker.
pub const HANDLER_ASYNC: u32 = 2;
/// Wants the request's body; without this flag [`BmRequest::body`] is empty.
pub const HANDLER_READS_BODY: u32 = 1 << 2;

/// A plugin: static data, valid until the process ends. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmPlugin {
    /// [`MAGIC`](crate::MAGIC).
    pub magic: u64,
    /// [`ABI_MAJOR`](crate::ABI_MAJOR) the plugin was built against.
    pub abi_major: u32,
    /// [`ABI_MINOR`](crate::ABI_MINOR) the plugin was built against.
    pub abi_minor: u32,
    /// Size of this table in bytes, as the plugin knows it.
    pub size: u32,
    /// Distance between two entries of `handlers` in bytes.
    pub handler_stride: u32,
    /// Capabilities of the host without which the plugin cannot work: the `CAP_` bits.
    pub required_caps: u64,
    /// Capabilities the plugin offers; none are defined yet.
    pub provided_caps: u64,
    /// Text, static: the plugin's name.
    pub name: BmSlice,
    /// Text, static: the plugin's version.
    pub version: BmSlice,
    /// Text, static: name and version of the SDK it was built with.
    pub sdk: BmSlice,
    /// Text, static: the compiler it was built with.
    pub rustc: BmSlice,
    /// Text, static: the target it was built for.
    pub target: BmSlice,
    /// `PANIC_UNWIND`, `PANIC_ABORT` or `PANIC_NONE`.
    pub panic_mode: u32,
    /// Number of handlers.
    pub n_handlers: u32,
    /// The handlers, sorted by name; static.
    pub handlers: *const BmHandler,
    /// Called before any handler, with the host's table and the configuration as JSON text. It fills the [`BmInit`] and
    /// returns `RESULT_OK`, `RESULT_FAILED` or `RESULT_PANIC`. Called again when the library comes back after its `retire`,
    /// never while that runs. Null: there is nothing to set up.
    pub init: Option<unsafe extern "C" fn(host: *const BmHost, config: BmSlice, out: *mut BmInit) -> u32>,
    /// Called at most once for each state, with [`BmInit::state`], when another version of the library has taken its place:
    /// after the last call of a handler has returned, every future was dropped and every owned body released. Null: there
    /// is nothing to give back.
    pub retire: Option<unsafe extern "C" fn(state: *mut c_void) -> u32>,
}

/// What `init` returns; the host clears it before.
#[repr(C)]
#[derive(Debug)]
pub struct BmInit {
    /// Size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The plugin's state, handed to each `call` and `start`; the host never looks into it.
    pub state: *mut c_void,
    /// Text: why `init` failed. Owned by the plugin, see `release_error`.
    pub error: BmSlice,
    /// For `release_error`.
    pub error_owner: *mut c_void,
    /// Releases `error`; null when it is static.
    pub release_error: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// One handler: static data. Fields are only ever appended.
#[repr(C)]
#[derive(Debug)]
pub struct BmHandler {
    /// Text, static: the name routes are bound to, `plugin.function`.
    pub name: BmSlice,
    /// Kind (`HANDLER_KIND_MASK`) and `HANDLER_` bits.
    pub flags: u32,
    /// Number of path parameters the handler wants.
    pub n_params: u32,
    /// Text, static: the names of these path parameters, in the order in which [`BmRequest::params`] holds their values.
    pub params: *const BmSlice,
    /// Text, static: a JSON object that describes the handler (parameters, body, response).
    pub meta_json: BmSlice,
    /// Changes when `meta_json` does.
    pub schema_hash: u64,
    /// Size of the handler's future where the plugin can build it in memory of the host; 0: the plugin allocates it.
    pub future_size: usize,
    /// Alignment of that future.
    pub future_align: usize,
    /// The plugin's own data for this handler, handed to `call` and `start`.
    pub data: *const c_void,
    /// Kinds sync and blocking: answers. Returns `RESULT_OK` or `RESULT_PANIC`.
    pub call: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            data: *const c_void,
            request: *const BmRequest,
            response: *mut BmResponse,
        ) -> u32,
    >,
    /// Kind async: makes the future that answers. `place` is `future_size` bytes of the host's, aligned to
    /// `future_align` and valid until the future is dropped; null when `future_size` is 0. The request is borrowed until
    /// the future is dropped. Returns `RESULT_OK` or `RESULT_PANIC`.
    pub start: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            data: *const c_void,
            request: *const BmRequest,
            place: *mut c_void,
            out: *mut BmFuture,
        ) -> u32,
    >,
}

// SAFETY: the table is static data that nobody changes, its functions may be called from any thread (see the crate's
// rules), and following its pointers takes `unsafe`.
unsafe impl Send for BmPlugin {}
// SAFETY: as for `Send`.
unsafe impl Sync for BmPlugin {}
// SAFETY: as for `BmPlugin`.
unsafe impl Send for BmHandler {}
// SAFETY: as for `BmPlugin`.
unsafe impl Sync for BmHandler {}
