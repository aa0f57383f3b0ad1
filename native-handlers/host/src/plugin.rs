//! From a plugin's table to a plugin that may be used: handshake, metadata, `init`.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bimetal_abi::{
    BmHandler, BmInit, BmPlugin, BmSlice, ABI_MAJOR, ABI_MINOR, CAPABILITIES, HANDLER_ASYNC,
    HANDLER_BLOCKING, HANDLER_KIND_MASK, HANDLER_READS_BODY, HANDLER_SYNC, MAGIC, PANIC_NONE, PANIC_UNWIND,
    RESULT_FAILED, RESULT_OK, RESULT_PANIC,
};
use serde::Deserialize;

use crate::call::{LogLimit, HOST, HOST_CAPS};
use crate::lifecycle::{self, Ended, Outcome, Turn};
use crate::{Error, ErrorKind};

/// More handlers than any plugin has: a larger number is garbage.
const MAX_HANDLERS: u32 = 65_536;
/// More path parameters than any route has.
const MAX_PARAMS: u32 = 256;

/// How a handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// At once, on the I/O worker.
    Sync,
    /// On a thread of the blocking pool.
    Blocking,
    /// Through a future, polled on the I/O worker.
    Async,
}

impl HandlerKind {
    /// The kind's name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            HandlerKind::Sync => "sync",
            HandlerKind::Blocking => "blocking",
            HandlerKind::Async => "async",
        }
    }
}

/// One handler as a plugin describes it.
#[derive(Clone, Debug)]
pub struct HandlerInfo {
    /// The name routes are bound to.
    pub name: String,
    /// The plugin it comes from.
    pub plugin: String,
    /// Where the plugin comes from: `builtin`, `static`, or the path of the library.
    pub source: String,
    /// How it answers.
    pub kind: HandlerKind,
    /// Parameters, body and response: a JSON object.
    pub meta_json: String,
}

/// One plugin as it describes itself.
#[derive(Clone, Debug)]
pub struct PluginInfo {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// Name and version of the SDK it was built with.
    pub sdk: String,
    /// The compiler it was built with.
    pub rustc: String,
    /// The target it was built for.
    pub target: String,
    /// Major and minor version of the ABI it was built against.
    pub abi: (u32, u32),
    /// Where it comes from: `builtin`, `static`, or the path of the library.
    pub source: String,
    /// The library's SHA-256 in lower-case hexadecimal; empty where the plugin is linked in.
    pub sha256: String,
    /// Its handlers, sorted by name.
    pub handlers: Vec<HandlerInfo>,
}

/// A plugin whose table has been checked; with `state` once it is initialised. One generation: the same library can be
/// initialised anew when this one is retired, which happens when the last handle of it is dropped.
pub(crate) struct Plugin {
    pub(crate) info: PluginInfo,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) state: State,
    init: Option<InitFn>,
    retire: Option<RetireFn>,
    /// Set when `init` has done its work: then `retire` is owed.
    initialised: Option<Turn>,
    /// Tells how it has ended.
    pub(crate) ended: Arc<Ended>,
    /// How many hosts have it among their handlers.
    hosts: AtomicUsize,
}

/// The plugin's own state, opaque here.
#[derive(Clone, Copy)]
pub(crate) struct State(pub(crate) *mut c_void);

// SAFETY: the pointer is only handed back to the plugin, whose functions may be called from several threads at once.
unsafe impl Send for State {}
// SAFETY: as for `Send`.
unsafe impl Sync for State {}

pub(crate) type RetireFn = unsafe extern "C" fn(*mut c_void) -> u32;
type InitFn = unsafe extern "C" fn(*const bimetal_abi::BmHost, BmSlice, *mut BmInit) -> u32;
pub(crate) type ReleaseFn = unsafe extern "C" fn(*mut c_void);
pub(crate) type NextFn =
    unsafe extern "C" fn(*mut c_void, *const bimetal_abi::BmWaker, *mut bimetal_abi::BmChunk) -> u32;
pub(crate) type CallFn = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    *const bimetal_abi::BmRequest,
    *mut bimetal_abi::BmResponse,
) -> u32;
pub(crate) type StartFn = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    *const bimetal_abi::BmRequest,
    *mut c_void,
    *mut bimetal_abi::BmFuture,
) -> u32;

/// A handler whose entry has been checked.
pub(crate) struct Handler {
    pub(crate) info: HandlerInfo,
    pub(crate) entry: Entry,
    pub(crate) data: Data,
    pub(crate) reads_body: bool,
    /// The path parameters it wants, in its order.
    pub(crate) params: Vec<String>,
    /// How much more of its faults is logged.
    pub(crate) log_limit: LogLimit,
}

/// How a handler is entered.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Sync(CallFn),
    Blocking(CallFn),
    Async { start: StartFn, future_size: usize, future_align: usize },
}

/// A handler's own data, opaque here.
#[derive(Clone, Copy)]
pub(crate) struct Data(pub(crate) *const c_void);

// SAFETY: as for `State`.
unsafe impl Send for Data {}
// SAFETY: as for `State`.
unsafe impl Sync for Data {}

/// The part of a handler's metadata the host itself looks at.
#[derive(Deserialize)]
struct Meta {
    /// The SDK's way to say that a handler cannot be described.
    error: Option<String>,
}

impl Plugin {
    /// The handshake: checks everything in the table before anything of the plugin is called.
    ///
    /// # Safety
    ///
    /// `table` is null or what the plugin's exported function returned, static as the ABI asks.
    pub(crate) unsafe fn check(table: *const BmPlugin, source: &str, sha256: &str) -> Result<Plugin, Error> {
        let at = |kind, text: String| Error::new(kind, format!("plugin `{source}`: {text}"));
        if table.is_null() {
            return Err(at(
                ErrorKind::Export,
                "handshake: the library could not describe itself (it returned no table, most likely after a panic); see \
                 standard error for the panic's message"
                    .into(),
            ));
        }
        if !table.is_aligned() {
            return Err(at(
                ErrorKind::Export,
                "handshake: the table is not aligned; rebuild the plugin".into(),
            ));
        }
        // The head first: its meaning is the same in every version. `size` says how much more there is.
        // SAFETY: not null, aligned, and static by this function's contract; these fields exist in every version.
        let (magic, major, minor, size) =
            unsafe { ((*table).magic, (*table).abi_major, (*table).abi_minor, (*table).size) };
        if magic != MAGIC {
            return Err(at(
                ErrorKind::Export,
                format!("handshake: the table's magic number is {magic:#018x}, not {MAGIC:#018x}; this is not a Bimetal plugin"),
            ));
        }
        if major != ABI_MAJOR {
            return Err(at(
                ErrorKind::Abi,
                format!(
                    "handshake: built for plugin ABI {major}.{minor}, this host has {ABI_MAJOR}.{ABI_MINOR}; rebuild the plugin \
                     with the `bimetal` crate of this version of Bimetal"
                ),
            ));
        }
        if (size as usize) < size_of::<BmPlugin>() {
            return Err(at(
                ErrorKind::Abi,
                format!(
                    "handshake: the table has {size} bytes, ABI {ABI_MAJOR}.0 has {}; rebuild the plugin",
                    size_of::<BmPlugin>()
                ),
            ));
        }
        // SAFETY: the table is at least as large as the type.
        let table = unsafe { &*table };
        let missing = table.required_caps & !HOST_CAPS;
        if missing != 0 {
            return Err(at(
                ErrorKind::Abi,
                format!(
                    "handshake: needs capabilities this host lacks ({}), it has {}; update Bimetal, or build the plugin with an \
                     older SDK",
                    capability_names(missing),
                    capability_names(HOST_CAPS)
                ),
            ));
        }
        if table.panic_mode != PANIC_UNWIND && table.panic_mode != PANIC_NONE {
            return Err(at(
                ErrorKind::Abi,
                "handshake: built with panic=abort, so one panic would end the whole server; remove `panic = \"abort\"` from \
                 the plugin's profile"
                    .into(),
            ));
        }
        let text = |slice: BmSlice, what: &str| -> Result<String, Error> {
            // SAFETY: text of a plugin's table is static.
            match unsafe { slice.text() } {
                Some(text) => Ok(text.to_owned()),
                None => Err(at(
                    ErrorKind::Metadata,
                    format!("handshake: {what} is not readable text; rebuild the plugin"),
                )),
            }
        };
        let name = text(table.name, "the plugin's name")?;
        if !is_name(&name) {
            return Err(at(
                ErrorKind::Metadata,
                format!(
                    "handshake: `{}` is not a plugin name; use letters, digits, `_`, `-` and `.`",
                    name.escape_debug()
                ),
            ));
        }
        let source = match source {
            "static" if name == "builtin" => "builtin",
            other => other,
        };
        let mut info = PluginInfo {
            version: text(table.version, "the plugin's version")?,
            sdk: text(table.sdk, "the SDK's version")?,
            rustc: text(table.rustc, "the compiler's version")?,
            target: text(table.target, "the target")?,
            abi: (major, minor),
            source: source.to_owned(),
            sha256: sha256.to_owned(),
            handlers: Vec::new(),
            name,
        };
        let mut handlers = Vec::new();
        for entry in entries(table).map_err(|text| at(ErrorKind::Metadata, text))? {
            handlers.push(Handler::check(entry, &info).map_err(|(kind, text)| at(kind, text))?);
        }
        handlers.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        if let Some(pair) = handlers.windows(2).find(|pair| pair[0].info.name == pair[1].info.name) {
            return Err(at(
                ErrorKind::Duplicate,
                format!("handlers: `{}` is there twice; rename one of them", pair[0].info.name),
            ));
        }
        info.handlers = handlers.iter().map(|handler| handler.info.clone()).collect();
        Ok(Plugin {
            info,
            handlers,
            state: State(ptr::null_mut()),
            init: table.init,
            retire: table.retire,
            initialised: None,
            ended: Arc::default(),
            hosts: AtomicUsize::new(0),
        })
    }

    /// Calls the plugin's `init`, where it has one. It is the library's `turn`, which `retire` will wait for too.
    pub(crate) fn init(&mut self, config_json: Option<&str>, turn: &Turn) -> Result<(), Error> {
        let Some(init) = self.init else {
            self.initialised = Some(turn.clone());
            return Ok(());
        };
        let mut out = BmInit {
            size: size_of::<BmInit>() as u32,
            reserved: 0,
            state: ptr::null_mut(),
            error: BmSlice::EMPTY,
            error_owner: ptr::null_mut(),
            release_error: None,
        };
        // SAFETY: the function is the checked plugin's, the table is static, the text lives through the call.
        let result = unsafe { init(&HOST, BmSlice::borrow_str(config_json.unwrap_or_default()), &mut out) };
        // SAFETY: the plugin keeps the text alive until `release_error`.
        let reason = match unsafe { out.error.text() } {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => "it gives no reason".to_owned(),
        };
        if let Some(release) = out.release_error {
            // SAFETY: called once, and the text was copied.
            unsafe { release(out.error_owner) };
        }
        let at = |text: String| {
            Error::new(ErrorKind::Init, format!("plugin `{}`: init: {text}", self.info.source))
        };
        match result {
            RESULT_OK => {
                self.state = State(out.state);
                self.initialised = Some(turn.clone());
                Ok(())
            }
            RESULT_FAILED => Err(at(format!("{reason}; check the plugin's config"))),
            RESULT_PANIC => {
                Err(at(format!("panicked: {reason}; this is a fault of plugin `{}`", self.info.name)))
            }
            other => Err(at(format!("returned {other}, which means nothing; rebuild the plugin"))),
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let Some(turn) = self.initialised.take() else { return };
        let ended = Arc::clone(&self.ended);
        match self.retire {
            Some(retire) => lifecycle::retire(&self.info, retire, self.state, turn, ended),
            None => {
                turn.give();
                ended.tell(Outcome::Retired);
            }
        }
    }
}

/// A host's handle of a plugin, as long as the plugin's handlers are among the host's.
pub(crate) struct Held(Arc<Plugin>);

impl Held {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Held {
        plugin.hosts.fetch_add(1, Ordering::Relaxed);
        Held(plugin)
    }
}

impl Plugin {
    /// Whether some host has it among its handlers.
    pub(crate) fn is_held(&self) -> bool {
        self.hosts.load(Ordering::Relaxed) > 0
    }
}

impl Clone for Held {
    fn clone(&self) -> Held {
        Held::new(Arc::clone(&self.0))
    }
}

impl Deref for Held {
    type Target = Arc<Plugin>;

    fn deref(&self) -> &Arc<Plugin> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.hosts.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler {
    fn check(entry: &BmHandler, plugin: &PluginInfo) -> Result<Handler, (ErrorKind, String)> {
        // SAFETY: text of a plugin's table is static.
        let name = unsafe { entry.name.text() }.filter(|name| is_name(name)).ok_or_else(|| {
            (
                ErrorKind::Metadata,
                "handlers: one has a name that is not readable text of letters, digits, `_`, `-` and `.`; rename it"
                    .to_owned(),
            )
        })?;
        let at = |text: String| (ErrorKind::Metadata, format!("handler `{name}`: {text}"));
        // SAFETY: as above.
        let meta_json = unsafe { entry.meta_json.text() }
            .ok_or_else(|| at("its metadata is not readable text; rebuild the plugin".into()))?;
        let meta: Meta = sonic_rs::from_str(meta_json).map_err(|error| {
            at(format!("its metadata is not a JSON object ({}); rebuild the plugin", first_line(&error)))
        })?;
        if let Some(reason) = meta.error {
            return Err(at(reason));
        }
        let kind_and_entry = match (entry.flags & HANDLER_KIND_MASK, entry.call, entry.start) {
            (HANDLER_SYNC, Some(call), _) => (HandlerKind::Sync, Entry::Sync(call)),
            (HANDLER_BLOCKING, Some(call), _) => (HandlerKind::Blocking, Entry::Blocking(call)),
            (HANDLER_ASYNC, _, Some(start)) => {
                let (future_size, future_align) = (entry.future_size, entry.future_align);
                if future_size > 0 && std::alloc::Layout::from_size_align(future_size, future_align).is_err()
                {
                    return Err(at(format!(
                        "its future of {future_size} bytes aligned to {future_align} cannot exist; rebuild the plugin"
                    )));
                }
                (HandlerKind::Async, Entry::Async { start, future_size, future_align })
            }
            (HANDLER_SYNC | HANDLER_BLOCKING | HANDLER_ASYNC, ..) => {
                return Err(at("it has no function to call; rebuild the plugin".into()))
            }
            (kind, ..) => return Err(at(format!("its kind {kind} is unknown to this host; update Bimetal"))),
        };
        let (kind, function) = kind_and_entry;
        Ok(Handler {
            info: HandlerInfo {
                name: name.to_owned(),
                plugin: plugin.name.clone(),
                source: plugin.source.clone(),
                kind,
                meta_json: meta_json.to_owned(),
            },
            entry: function,
            data: Data(entry.data),
            reads_body: entry.flags & HANDLER_READS_BODY != 0,
            log_limit: LogLimit::default(),
            params: params(entry).map_err(at)?,
        })
    }
}

/// The entries of a checked table, each at its stride.
fn entries(table: &BmPlugin) -> Result<Vec<&'static BmHandler>, String> {
    let (count, stride) = (table.n_handlers, table.handler_stride as usize);
    if count == 0 {
        return Err("handlers: there are none; add `#[native_handler]` to a function".into());
    }
    if count > MAX_HANDLERS || table.handlers.is_null() || !table.handlers.is_aligned() {
        return Err(format!("handlers: the list of {count} cannot be read; rebuild the plugin"));
    }
    if stride < size_of::<BmHandler>() || !stride.is_multiple_of(align_of::<BmHandler>()) {
        return Err(format!(
            "handlers: an entry has {stride} bytes, ABI {ABI_MAJOR}.0 has {}; rebuild the plugin",
            size_of::<BmHandler>()
        ));
    }
    // SAFETY: the plugin says that so many entries lie at this distance from one another, each at least as large as the
    // type; the table is static.
    Ok((0..count as usize).map(|index| unsafe { &*table.handlers.byte_add(index * stride) }).collect())
}

/// The names of the path parameters a handler wants.
fn params(entry: &BmHandler) -> Result<Vec<String>, String> {
    if entry.n_params == 0 {
        return Ok(Vec::new());
    }
    if entry.n_params > MAX_PARAMS || entry.params.is_null() || !entry.params.is_aligned() {
        return Err(format!(
            "its list of {} path parameters cannot be read; rebuild the plugin",
            entry.n_params
        ));
    }
    // SAFETY: not null, aligned, and the plugin says that so many are there; static.
    let slices = unsafe { std::slice::from_raw_parts(entry.params, entry.n_params as usize) };
    slices
        .iter()
        // SAFETY: text of a plugin's table is static.
        .map(|slice| unsafe { slice.text() }.filter(|text| !text.is_empty()).map(str::to_owned))
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| "the name of a path parameter is not readable text; rebuild the plugin".to_owned())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn capability_names(bits: u64) -> String {
    let mut names: Vec<String> = Vec::new();
    for bit in (0..u64::BITS).map(|shift| 1u64 << shift).filter(|bit| bits & bit != 0) {
        match CAPABILITIES.iter().find(|(known, _)| *known == bit) {
            Some((_, name)) => names.push((*name).to_owned()),
            None => names.push(format!("{bit:#x}, which it does not know")),
        }
    }
    names.join(", ")
}

fn first_line(error: &sonic_rs::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
