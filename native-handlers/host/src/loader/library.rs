//! The only `dlopen` of the project.
#![allow(clippy::disallowed_methods, reason = "libraries are opened here and nowhere else")]

use std::collections::BTreeMap;

use bimetal_abi::{BmPlugin, PluginEntry, SYMBOL};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;

use super::{file, stage, LibraryFile};
use crate::{Error, ErrorKind};

/// How many libraries a process opens, since it can unload none.
pub(super) const MAX_LIBRARIES: usize = 64;

/// The libraries this process has opened, by their SHA-256; without a table where one has turned out to be no plugin.
static OPENED: Mutex<BTreeMap<String, Option<Table>>> = Mutex::new(BTreeMap::new());

/// What a library has returned.
#[derive(Clone, Copy)]
struct Table(*const BmPlugin);

// SAFETY: the table is static data that nobody changes, or null.
unsafe impl Send for Table {}

/// The table of the library: opened now, for good, or before.
pub(super) fn table(file: &LibraryFile) -> Result<*const BmPlugin, Error> {
    let mut opened = OPENED.lock();
    if let Some(known) = opened.get(&file.sha256) {
        return known
            .map(|table| table.0)
            .ok_or_else(|| file.error(ErrorKind::Export, &file::not_a_plugin()));
    }
    file.check_format()?;
    file.check_export()?;
    if opened.len() >= MAX_LIBRARIES {
        return Err(file.error(
            ErrorKind::Generations,
            &format!(
                "load: this process has loaded {MAX_LIBRARIES} libraries, and cannot unload any; recycle the worker (start this \
                 server process anew) to load another one"
            ),
        ));
    }
    let library = open(file)?;
    // SAFETY: the symbol, if it is there, is a function of this type: that is what its name means.
    let entry = unsafe { library.get::<PluginEntry>(SYMBOL) }.map(|symbol| *symbol);
    // Never closed: what it exports is used until the process ends.
    let _handle = library.into_raw();
    // SAFETY: the library stays loaded, and the function takes nothing and catches its panics.
    let table = entry.map(|entry| Table(unsafe { entry() }));
    opened.insert(file.sha256.clone(), table.as_ref().ok().copied());
    table
        .map(|table| table.0)
        .map_err(|error| file.error(ErrorKind::Export, &file::not_a_plugin()).with_cause(error))
}

/// Opens a private copy.
fn open(file: &LibraryFile) -> Result<Library, Error> {
    let staged = stage::copy(file)?;
    let staged = staged.path();
    // RTLD_NODELETE: threads and thread-local destructors of a plugin may outlive every use of it here.
    // SAFETY: the file's constructors run. It looks like a plugin, and its owner asked for it to be loaded.
    unsafe { Library::open(Some(staged), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE) }.map_err(|error| {
        let text = error_text(&error).replace(&staged.display().to_string(), "the library");
        file.error(ErrorKind::Load, &format!("load: {text}; {}", fix(&text))).with_cause(error)
    })
}

fn error_text(error: &libloading::Error) -> String {
    // The loader's own text is the source of libloading's error.
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// What to do about an error of the system's loader.
fn fix(text: &str) -> &'static str {
    if text.contains("static TLS") {
        "the plugin or a library of it (often an allocator: mimalloc, jemalloc) wants static thread-local storage: build it \
         with its `local_dynamic_tls`/`disable_initial_exec_tls` feature, or use the system's allocator in the plugin"
    } else if text.contains("undefined symbol") {
        "link the plugin against the library that has this symbol, or build it on this system"
    } else if text.contains("cannot open shared object file") {
        "install the library it depends on, or link that statically"
    } else if text.contains("version `GLIBC") {
        "build the plugin on a system as old as this one"
    } else if text.contains("failed to map") {
        "the folder of temporary files forbids execution: set TMPDIR to one that is not mounted `noexec`"
    } else {
        "build the plugin again on this system"
    }
}

#[cfg(test)]
mod tests {
    use super::fix;

    #[test]
    fn each_known_complaint_of_the_loader_has_its_fix() {
        for (text, expected) in [
            ("x.so: cannot allocate memory in static TLS block", "local_dynamic_tls"),
            ("x.so: undefined symbol: pq_connect", "link the plugin against"),
            ("libpq.so.5: cannot open shared object file: No such file or directory", "install the library"),
            ("/lib/libc.so.6: version `GLIBC_2.38' not found", "as old as this one"),
            ("x.so: failed to map segment from shared object", "TMPDIR"),
            ("something else", "build the plugin again"),
        ] {
            assert!(fix(text).contains(expected), "{text}");
        }
    }
}
