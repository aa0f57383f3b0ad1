//! The plugins of this process. A library is initialised once, however many hosts use it, and ends with the last of them, or when
//! a reload has replaced it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bimetal_abi::BmPlugin;
use parking_lot::Mutex;

use crate::lifecycle::{self, Turn};
use crate::loader::{self, LibraryFile};
use crate::plugin::Plugin;
use crate::{Error, ErrorKind};

/// What makes two plugins the same one.
#[derive(PartialEq)]
enum Identity {
    /// The SHA-256 of the library.
    Bytes(String),
    /// The address of the table.
    Table(usize),
}

struct Loaded {
    identity: Identity,
    turn: Turn,
    config_json: Option<String>,
    /// Its generation, as long as anybody uses it.
    live: Weak<Plugin>,
}

/// Held while a plugin is loaded, so that two servers that start at once load it once.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

/// The plugin in the library `file`: loaded and initialised now, or before. It ends with its last user.
pub(crate) fn load(
    file: &LibraryFile,
    config_json: Option<&str>,
    init_timeout: Duration,
) -> Result<Arc<Plugin>, Error> {
    obtain(Identity::Bytes(file.sha256.clone()), config_json, &file.source, init_timeout, || {
        loader::open(file)
    })
}

/// The plugin whose table is linked into this program.
pub(crate) fn link(table: &'static BmPlugin, init_timeout: Duration) -> Result<Arc<Plugin>, Error> {
    // SAFETY: the table is static.
    obtain(Identity::Table(std::ptr::from_ref(table).addr()), None, "static", init_timeout, || unsafe {
        Plugin::check(table, "static", "")
    })
}

fn obtain(
    identity: Identity,
    config_json: Option<&str>,
    source: &str,
    init_timeout: Duration,
    open: impl FnOnce() -> Result<Plugin, Error>,
) -> Result<Arc<Plugin>, Error> {
    let config_json = config_json.map(str::trim).filter(|text| !text.is_empty());
    let mut loaded = LOADED.lock();
    let position = loaded.iter().position(|known| known.identity == identity);
    if let Some((known, plugin)) =
        position.and_then(|position| Some((&loaded[position], loaded[position].live.upgrade()?)))
    {
        if known.config_json.as_deref() != config_json {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "plugin `{source}`: config: this process has loaded the same library with another config (as plugin `{}`); \
                     give every server the same config, or run them in separate processes",
                    plugin.info.name
                ),
            ));
        }
        return Ok(plugin);
    }
    let plugin = open()?;
    let turn = position.map_or_else(Turn::default, |position| loaded[position].turn.clone());
    let position = position.unwrap_or_else(|| {
        // From here on the library's turns are taken, also where `init` does not return.
        let (turn, live) = (turn.clone(), Weak::new());
        loaded.push(Loaded { identity, turn, config_json: None, live });
        loaded.len() - 1
    });
    let plugin = Arc::new(lifecycle::initialise(plugin, config_json, init_timeout, &turn)?);
    tracing::debug!(plugin = plugin.info.name, source, handlers = plugin.handlers.len(), "plugin is ready");
    loaded[position].live = Arc::downgrade(&plugin);
    loaded[position].config_json = config_json.map(str::to_owned);
    Ok(plugin)
}
