//! The handlers of one host by name, and the plugins they come from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::plugin::{Handler, Held, Plugin};
use crate::{Error, ErrorKind, HandlerInfo, PluginInfo};

/// The handlers there are.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    handlers: BTreeMap<String, Entry>,
    linked: Vec<Held>,
    /// In the order in which they were loaded.
    pub(crate) libraries: Vec<Library>,
}

/// A library, as it was asked for.
#[derive(Clone)]
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) config_json: Option<String>,
    pub(crate) plugin: Held,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) index: usize,
}

impl Entry {
    pub(crate) fn handler(&self) -> &Handler {
        &self.plugin.handlers[self.index]
    }
}

impl Registry {
    /// Adds a plugin that is linked in.
    pub(crate) fn add_linked(&mut self, plugin: Arc<Plugin>) -> Result<(), Error> {
        self.add(&plugin)?;
        if !self.linked.iter().any(|known| Arc::ptr_eq(known, &plugin)) {
            self.linked.push(Held::new(plugin));
        }
        Ok(())
    }

    /// Adds a library.
    pub(crate) fn add_library(&mut self, library: Library) -> Result<(), Error> {
        self.add(&library.plugin)?;
        let known = self
            .libraries
            .iter()
            .any(|known| known.path == library.path && Arc::ptr_eq(&known.plugin, &library.plugin));
        if !known {
            self.libraries.push(library);
        }
        Ok(())
    }

    /// The same with these libraries in place of its own.
    pub(crate) fn with_libraries(&self, libraries: Vec<Library>) -> Result<Registry, Error> {
        let mut renewed = Registry::default();
        for plugin in &self.linked {
            renewed.add_linked(Arc::clone(plugin))?;
        }
        for library in libraries {
            renewed.add_library(library)?;
        }
        Ok(renewed)
    }

    /// The entry of a handler.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.handlers.get(name)
    }

    /// The names of all handlers, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Every handler, sorted by name.
    pub(crate) fn handlers(&self) -> Vec<HandlerInfo> {
        self.handlers.values().map(|entry| entry.handler().info.clone()).collect()
    }

    /// What is known of every plugin, sorted by name.
    pub(crate) fn plugins(&self) -> Vec<PluginInfo> {
        let mut plugins: Vec<&Arc<Plugin>> = self.linked.iter().map(|held| &**held).collect();
        for library in &self.libraries {
            // One library may have been asked for by several paths.
            if !plugins.iter().any(|known| Arc::ptr_eq(known, &library.plugin)) {
                plugins.push(&library.plugin);
            }
        }
        plugins.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        plugins.into_iter().map(|plugin| plugin.info.clone()).collect()
    }

    /// Every plugin, once or more often.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.linked.iter().chain(self.libraries.iter().map(|library| &library.plugin))
    }

    fn add(&mut self, plugin: &Arc<Plugin>) -> Result<(), Error> {
        for handler in &plugin.handlers {
            if let Some(taken) = self.handlers.get(&handler.info.name) {
                if !Arc::ptr_eq(&taken.plugin, plugin) {
                    return Err(Error::new(
                        ErrorKind::Duplicate,
                        format!(
                            "plugin `{}` ({}): handler `{}` exists already, in plugin `{}` ({}); rename one of them",
                            plugin.info.name,
                            plugin.info.source,
                            handler.info.name,
                            taken.plugin.info.name,
                            taken.plugin.info.source,
                        ),
                    ));
                }
            }
        }
        for (index, handler) in plugin.handlers.iter().enumerate() {
            self.handlers.insert(handler.info.name.clone(), Entry { plugin: Arc::clone(plugin), index });
        }
        Ok(())
    }
}
