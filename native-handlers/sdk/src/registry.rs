//! What `#[native_handler]` and `plugin!` have submitted, gathered into the tables the host reads.
//!
//! Handlers belong to the plugin of their crate. A library built as a plugin exports one table; in a program into which
//! plugins are linked, [`plugins`] gives them all.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use bimetal_abi::{
    BmFuture, BmHandler, BmHost, BmInit, BmPlugin, BmRequest, BmResponse, BmSlice, ABI_MAJOR, ABI_MINOR,
    CAP_HEADERS, CAP_LOG, CAP_RESPONSE_GROW, CAP_RESPONSE_STREAM, CAP_SERVER_STATE, CAP_WAKER, HANDLER_ASYNC,
    HANDLER_BLOCKING, HANDLER_READS_BODY, HANDLER_SYNC, MAGIC, PANIC_ABORT, PANIC_UNWIND,
};

use crate::describe::{Operation, Slot, StateType};
use crate::entry;

/// What the SDK uses of the host, whatever the handlers do.
const REQUIRED_CAPS: u64 = CAP_HEADERS | CAP_RESPONSE_GROW | CAP_LOG | CAP_WAKER | CAP_SERVER_STATE;

/// A handler, as `#[native_handler]` submits it.
pub struct HandlerEntry {
    /// Where it is defined: `module_path!()`.
    pub module: &'static str,
    /// The function's name, or the one given with `name = "..."`.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// How it is called.
    pub call: HandlerCall,
    /// Describes the arguments and the response.
    pub describe: fn(&mut Operation) -> Vec<Slot>,
}

/// How a handler is called.
#[derive(Clone, Copy)]
pub enum HandlerCall {
    /// At once.
    Sync(unsafe extern "C" fn(*mut c_void, *const c_void, *const BmRequest, *mut BmResponse) -> u32),
    /// On a thread that may block.
    Blocking(unsafe extern "C" fn(*mut c_void, *const c_void, *const BmRequest, *mut BmResponse) -> u32),
    /// Through a future, of the given size and alignment.
    Async(
        unsafe extern "C" fn(*mut c_void, *const c_void, *const BmRequest, *mut c_void, *mut BmFuture) -> u32,
        fn() -> (usize, usize),
    ),
}

/// A plugin, as `plugin!` submits it.
pub struct PluginEntry {
    /// Where it is declared: `module_path!()`.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What comes before the handlers' names; the name and a dot without.
    pub prefix: Option<&'static str>,
    /// Its crate's version.
    pub version: &'static str,
    /// The type of its state.
    pub state: fn() -> StateType,
    /// `BmPlugin::init`.
    pub init: unsafe extern "C" fn(*const BmHost, BmSlice, *mut BmInit) -> u32,
}

inventory::collect!(HandlerEntry);
inventory::collect!(PluginEntry);

/// What [`BmHandler::data`] points to.
pub(crate) struct HandlerData {
    pub(crate) slots: Vec<Slot>,
}

/// Why the plugins of a program cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryError(String);

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegistryError {}

/// Every plugin linked into this program, sorted by name. The tables are made once.
///
/// A plugin crate that nothing in the program refers to may be dropped by the linker: write `use hot as _;` and see that
/// its name is in the list. Handlers of a crate without `plugin!`, and two plugins or handlers of one name, are errors.
///
/// ```
/// for plugin in bimetal::registry::plugins()? {
///     println!("{} handlers", plugin.n_handlers);
/// }
/// # Ok::<(), bimetal::registry::RegistryError>(())
/// ```
pub fn plugins() -> Result<Vec<&'static BmPlugin>, RegistryError> {
    let mut by_name: BTreeMap<&str, &PluginEntry> = BTreeMap::new();
    for plugin in inventory::iter::<PluginEntry> {
        if let Some(other) = by_name.insert(plugin.name, plugin) {
            return Err(RegistryError(format!(
                "two plugins linked into this program are called `{}`, in `{}` and `{}`; rename one of them",
                plugin.name, other.module, plugin.module
            )));
        }
    }
    if let Some(orphan) =
        inventory::iter::<HandlerEntry>.into_iter().find(|handler| plugin_of(handler).is_none())
    {
        return Err(RegistryError(format!(
            "handler `{}` belongs to no plugin; write `bimetal::plugin! {{ name: \"...\" }}` in crate `{}`",
            orphan.name,
            crate_of(orphan.module)
        )));
    }
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for handler in inventory::iter::<HandlerEntry> {
        let Some(plugin) = plugin_of(handler) else { continue };
        let name = full_name(plugin, handler);
        if let Some(other) = names.insert(name.clone(), handler.module) {
            return Err(RegistryError(format!(
                "two handlers linked into this program are called `{name}`, in `{other}` and `{}`; rename one of them",
                handler.module
            )));
        }
    }
    Ok(by_name.into_values().map(|plugin| table_of(plugin, false)).collect())
}

/// The table a library exports: the plugin declared in `module`, with its own handlers and those of crates that declare no
/// plugin. Null when making it panics.
#[doc(hidden)]
pub fn exported_table(module: &'static str) -> *const BmPlugin {
    let table = catch_unwind(|| {
        let plugin = inventory::iter::<PluginEntry>.into_iter().find(|plugin| plugin.module == module)?;
        crate::host::set_plugin(plugin.name);
        Some(table_of(plugin, true))
    });
    table.ok().flatten().map_or(std::ptr::null(), std::ptr::from_ref)
}

fn crate_of(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

fn plugin_of(handler: &HandlerEntry) -> Option<&'static PluginEntry> {
    inventory::iter::<PluginEntry>
        .into_iter()
        .find(|plugin| crate_of(plugin.module) == crate_of(handler.module))
}

fn full_name(plugin: &PluginEntry, handler: &HandlerEntry) -> String {
    match plugin.prefix {
        Some(prefix) => format!("{prefix}{}", handler.name),
        None => format!("{}.{}", plugin.name, handler.name),
    }
}

/// The plugin's table, made at the first call and kept for good.
fn table_of(plugin: &'static PluginEntry, with_orphans: bool) -> &'static BmPlugin {
    static TABLES: Mutex<Vec<(&str, &BmPlugin)>> = Mutex::new(Vec::new());
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, table)) = tables.iter().find(|(module, _)| *module == plugin.module) {
        return table;
    }
    let belongs = |handler: &HandlerEntry| match plugin_of(handler) {
        Some(owner) => std::ptr::eq(owner, plugin),
        None => with_orphans,
    };
    let (mut handlers, required_caps): (Vec<BmHandler>, Vec<u64>) = inventory::iter::<HandlerEntry>
        .into_iter()
        .filter(|handler| belongs(handler))
        .map(|handler| handler_table(plugin, handler))
        .unzip();
    // SAFETY: the names were leaked by `handler_table`.
    handlers.sort_by_key(|handler| unsafe { handler.name.text() }.unwrap_or_default());
    let handlers = handlers.leak();
    let table: &'static BmPlugin = Box::leak(Box::new(BmPlugin {
        magic: MAGIC,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        size: size_of::<BmPlugin>() as u32,
        handler_stride: size_of::<BmHandler>() as u32,
        required_caps: required_caps.into_iter().fold(REQUIRED_CAPS, |all, one| all | one),
        provided_caps: 0,
        name: BmSlice::borrow_str(plugin.name),
        version: BmSlice::borrow_str(plugin.version),
        sdk: BmSlice::borrow_str(concat!("bimetal ", env!("CARGO_PKG_VERSION"))),
        rustc: BmSlice::borrow_str(env!("BIMETAL_RUSTC")),
        target: BmSlice::borrow_str(env!("BIMETAL_TARGET")),
        panic_mode: if cfg!(panic = "unwind") { PANIC_UNWIND } else { PANIC_ABORT },
        n_handlers: handlers.len() as u32,
        handlers: handlers.as_ptr(),
        init: Some(plugin.init),
        retire: Some(entry::retire),
    }));
    tables.push((plugin.module, table));
    table
}

/// The handler's table, and the capabilities of the host it cannot work without.
fn handler_table(plugin: &PluginEntry, handler: &HandlerEntry) -> (BmHandler, u64) {
    let name = full_name(plugin, handler);
    let mut operation = Operation::new();
    let mut slots = (handler.describe)(&mut operation);
    let given = (plugin.state)();
    if let Some(wanted) = operation.state.filter(|wanted| wanted.id != given.id) {
        operation.refuse(format!(
            "it wants `State<{}>`, the plugin's state is `{}`; write `init:` in `bimetal::plugin!` with a function that \
             returns it",
            wanted.name, given.name
        ));
    }
    let (kind, flags, call, start, (future_size, future_align)) = match handler.call {
        HandlerCall::Sync(call) => ("sync", HANDLER_SYNC, Some(call), None, (0, 0)),
        HandlerCall::Blocking(call) => ("blocking", HANDLER_BLOCKING, Some(call), None, (0, 0)),
        HandlerCall::Async(start, layout) => ("async", HANDLER_ASYNC, None, Some(start), layout()),
    };
    let description = operation.finish(&name, kind, handler.doc);
    slots.iter_mut().for_each(|slot| slot.complete(&description.definitions));
    let params: Vec<BmSlice> = description.params.into_iter().map(leak).collect();
    let meta_json = description.meta_json;
    let required_caps = if description.streams { CAP_RESPONSE_STREAM } else { 0 };
    let table = BmHandler {
        name: leak(name),
        flags: flags | if description.reads_body { HANDLER_READS_BODY } else { 0 },
        n_params: params.len() as u32,
        params: params.leak().as_ptr(),
        schema_hash: fnv1a(meta_json.as_bytes()),
        meta_json: leak(meta_json),
        future_size,
        future_align,
        data: std::ptr::from_ref::<HandlerData>(Box::leak(Box::new(HandlerData { slots }))).cast(),
        call,
        start,
    };
    (table, required_caps)
}

/// Static text of a table, which lives as long as the process.
fn leak(text: String) -> BmSlice {
    BmSlice::borrow_str(text.leak())
}

/// FNV-1a: equal for equal metadata, whatever compiled it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
