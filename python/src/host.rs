//! The plugin host, as Python sees it.

use std::path::Path;

use bimetal_host::{HandlerInfo, Host as NativeHost, LoadPolicy};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::{from_host, PluginError};
use crate::reload::Reload;
use crate::settings::seconds;

/// The native handlers that routes can be bound to.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Host {
    pub(crate) host: NativeHost,
}

#[pymethods]
impl Host {
    #[new]
    fn new() -> PyResult<Self> {
        let host = NativeHost::new();
        for plugin in bimetal_builtin::plugins().map_err(|error| PluginError::new_err(error.to_string()))? {
            host.register_static(plugin).map_err(|error| from_host(&error))?;
        }
        Ok(Host { host })
    }

    /// Loads a plugin library; `config` is JSON for its `init`.
    #[pyo3(signature = (path, config = None))]
    fn load<'py>(&self, py: Python<'py>, path: &str, config: Option<String>) -> PyResult<Bound<'py, PyList>> {
        // Loading runs the plugin's code, which may take its time: not while others wait for the interpreter.
        let handlers = py.detach(|| self.host.load(Path::new(path), config.as_deref()));
        list(py, handlers.map_err(|error| from_host(&error))?)
    }

    /// What is demanded of libraries from now on: their hashes, and how long their `init` may take, in seconds.
    fn set_policy(&self, allowed_sha256: Option<Vec<String>>, init_timeout: f64) -> PyResult<()> {
        let init_timeout = seconds("plugin_init_timeout", init_timeout)?;
        self.host.set_policy(LoadPolicy { allowed_sha256, init_timeout });
        Ok(())
    }

    /// Loads what has changed of the libraries.
    fn prepare_reload(&self, py: Python<'_>) -> PyResult<Reload> {
        let reload = py.detach(|| self.host.prepare_reload());
        Ok(Reload::new(reload.map_err(|error| from_host(&error))?))
    }

    /// Gives up every plugin and waits at most `timeout` seconds until they are retired; whether they all are. Those that another
    /// host has are left to it.
    fn retire(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds("timeout", timeout)?;
        Ok(py.detach(|| self.host.retire(timeout)))
    }

    /// Every plugin, built-in ones included, sorted by name.
    fn plugins<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for plugin in self.host.plugins() {
            let info = PyDict::new(py);
            info.set_item("name", plugin.name)?;
            info.set_item("version", plugin.version)?;
            info.set_item("source", plugin.source)?;
            info.set_item("sha256", plugin.sha256)?;
            info.set_item("abi", format!("{}.{}", plugin.abi.0, plugin.abi.1))?;
            info.set_item("sdk", plugin.sdk)?;
            info.set_item("rustc", plugin.rustc)?;
            info.set_item("target", plugin.target)?;
            list.append(info)?;
        }
        Ok(list)
    }

    /// Every handler, sorted by name.
    fn handlers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        list(py, self.host.handlers())
    }
}

pub(crate) fn list(py: Python<'_>, handlers: Vec<HandlerInfo>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for handler in handlers {
        let info = PyDict::new(py);
        info.set_item("name", handler.name)?;
        info.set_item("plugin", handler.plugin)?;
        info.set_item("source", handler.source)?;
        info.set_item("kind", handler.kind.as_str())?;
        info.set_item("meta", handler.meta_json)?;
        list.append(info)?;
    }
    Ok(list)
}
