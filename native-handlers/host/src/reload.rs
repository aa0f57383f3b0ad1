//! From libraries that have changed to a new generation of handlers.

use crate::host::Host;
use crate::loader;
use crate::plugin::Held;
use crate::registry::{Library, Registry};
use crate::{process, Error, HandlerInfo, NativeHandler, Readiness};

/// A library that has changed since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The library's path.
    pub source: String,
    /// The plugin's name, as the new version gives it.
    pub plugin: String,
    /// Version and SHA-256 of the generation that is in use.
    pub from: (String, String),
    /// Version and SHA-256 of the one that would take its place.
    pub to: (String, String),
}

/// A new generation of a host's handlers: loaded, checked and initialised, and used by nobody yet.
///
/// Whoever serves the handlers binds what it needs with [`Reload::bind`], publishes that, and says [`Reload::commit`]. Dropped
/// before, it is as if nothing had happened, and what was initialised is retired.
pub struct Reload {
    host: Host,
    registry: Registry,
    changes: Vec<Change>,
}

impl Host {
    /// Reads every library again that this host has loaded, and prepares those that have changed.
    ///
    /// A new version is checked as at the start, the list of allowed hashes included, and its `init` gets the configuration
    /// its library was loaded with. An error leaves everything as it was.
    pub fn prepare_reload(&self) -> Result<Reload, Error> {
        let policy = self.policy();
        let current = self.registry();
        let (mut libraries, mut changes) = (Vec::new(), Vec::new());
        for library in &current.libraries {
            let file = loader::read(&library.path)?;
            if file.sha256 == library.plugin.info.sha256 {
                libraries.push(library.clone());
                continue;
            }
            file.check_allowed(&policy)?;
            let plugin = process::load(&file, library.config_json.as_deref(), policy.init_timeout)?;
            let (old, new) = (&library.plugin.info, &plugin.info);
            changes.push(Change {
                source: file.source,
                plugin: new.name.clone(),
                from: (old.version.clone(), old.sha256.clone()),
                to: (new.version.clone(), new.sha256.clone()),
            });
            libraries.push(Library { plugin: Held::new(plugin), ..library.clone() });
        }
        let registry = current.with_libraries(libraries)?;
        Ok(Reload { host: self.clone(), registry, changes })
    }
}

impl Reload {
    /// The libraries that have changed; empty when there is nothing to do.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Every handler of the new generation, sorted by name.
    pub fn handlers(&self) -> Vec<HandlerInfo> {
        self.registry.handlers()
    }

    /// As [`Host::bind`], for the new generation.
    pub fn bind(
        &self,
        name: &str,
        path_params: &[String],
        readiness: &Readiness,
    ) -> Result<NativeHandler, Error> {
        self.host.bind_in(&self.registry, name, path_params, readiness)
    }

    /// Makes the new generation the host's. The old one is retired when the last handler bound from it is gone, with all it
    /// still does. It must have been published by now.
    pub fn commit(self) {
        let Reload { host, registry, .. } = self;
        host.replace(registry);
    }
}
