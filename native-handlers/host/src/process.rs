//! The plugins of this process. A library is initialised once, however many servers use it, and stays.

use std::path::Path;
use std::sync::Arc;

use bimetal_abi::BmPlugin;
use parking_lot::Mutex;

use crate::loader;
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
    config_json: Option<String>,
    plugin: Arc<Plugin>,
}

/// Held while a plugin is loaded, so that two servers that start at once load it once.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

/// The plugin whose library is at `path`: loaded and initialised now, or before.
pub(crate) fn load(path: &Path, config_json: Option<&str>) -> Result<Arc<Plugin>, Error> {
    let file = loader::read(path)?;
    obtain(Identity::Bytes(file.sha256.clone()), config_json, &file.source.clone(), || loader::open(&file))
}

/// The plugin whose table is linked into this program.
pub(crate) fn link(table: &'static BmPlugin) -> Result<Arc<Plugin>, Error> {
    // SAFETY: the table is static.
    obtain(Identity::Table(std::ptr::from_ref(table).addr()), None, "static", || unsafe {
        Plugin::check(table, "static", "")
    })
}

fn obtain(
    identity: Identity,
    config_json: Option<&str>,
    source: &str,
    open: impl FnOnce() -> Result<Plugin, Error>,
) -> Result<Arc<Plugin>, Error> {
    let config_json = config_json.map(str::trim).filter(|text| !text.is_empty());
    let mut loaded = LOADED.lock();
    if let Some(known) = loaded.iter().find(|known| known.identity == identity) {
        if known.config_json.as_deref() != config_json {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "plugin `{source}`: config: this process has loaded the same library with another config (as plugin `{}`); \
                     give every server the same config, or run them in separate processes",
                    known.plugin.info.name
                ),
            ));
        }
        return Ok(Arc::clone(&known.plugin));
    }
    let mut plugin = open()?;
    plugin.init(config_json)?;
    tracing::debug!(plugin = plugin.info.name, source, handlers = plugin.handlers.len(), "plugin is ready");
    let plugin = Arc::new(plugin);
    loaded.push(Loaded {
        identity,
        config_json: config_json.map(str::to_owned),
        plugin: Arc::clone(&plugin),
    });
    Ok(plugin)
}
