//! From a path to a library in memory.
//!
//! Checks come first, because a library's constructors run as soon as it is opened: the file ([`file`]), its format
//! ([`elf`]), its export. What is opened is a private copy named by its hash ([`stage`]), so that overwriting the file in
//! place cannot change code that runs, and so that the system's loader never mistakes a new version for the old one. A
//! library is opened once a process ([`library`]) and never closed.

#[cfg(target_os = "linux")]
mod elf;
mod file;
mod library;
mod stage;

use std::path::Path;

use crate::plugin::Plugin;
use crate::{Error, PluginInfo};

pub(crate) use file::{read, LibraryFile};

/// Loads the library and does the handshake; `init` is not called.
pub(crate) fn open(file: &LibraryFile) -> Result<Plugin, Error> {
    let table = library::table(file)?;
    // SAFETY: the table is what the library's exported function returned, and the library is never unloaded.
    unsafe { Plugin::check(table, &file.source, &file.sha256) }
}

/// Explains what the library at `path` exports, or why it would not load. Everything is done but the call of `init`;
/// the library stays in memory.
pub fn check(path: &Path) -> Result<PluginInfo, Error> {
    Ok(open(&read(path)?)?.info.clone())
}
