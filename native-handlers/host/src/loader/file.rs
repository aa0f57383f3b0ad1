//! The file itself: there, regular, writable by its owner only, and a plugin by its looks.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bimetal_abi::{ABI_MAJOR, SYMBOL, SYMBOL_PREFIX};
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, LoadPolicy};

/// A library read into memory. Everything from here on works on these bytes, not on the path.
pub(crate) struct LibraryFile {
    /// The path as the user wrote it, for messages.
    pub(crate) source: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
}

/// Reads the library, after checking that it is a regular file that nobody but its owner can change.
pub(crate) fn read(path: &Path) -> Result<LibraryFile, Error> {
    let source = path.display().to_string();
    let at = |text: String| Error::new(ErrorKind::File, format!("plugin `{source}`: file: {text}"));
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            at("there is none; build it (`cargo build --release` in the plugin's crate) or correct the path"
                .into())
        }
        std::io::ErrorKind::PermissionDenied => {
            at("it may not be read; make it readable for this user".into())
        }
        _ => at(format!("it cannot be opened ({error}); correct the path")).with_cause(error),
    })?;
    let unreadable = |error: std::io::Error| at(format!("it cannot be read ({error})")).with_cause(error);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(at("it is not a regular file; give the path of the library itself".into()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(at(format!(
                "others can change it (mode {mode:04o}), and it would run with this server's rights; `chmod go-w {source}`"
            )));
        }
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(LibraryFile { source, bytes, sha256 })
}

impl LibraryFile {
    /// Checks that the library is one of those that may be loaded.
    pub(crate) fn check_allowed(&self, policy: &LoadPolicy) -> Result<(), Error> {
        let Some(allowed) = &policy.allowed_sha256 else { return Ok(()) };
        if allowed.iter().any(|known| known.eq_ignore_ascii_case(&self.sha256)) {
            return Ok(());
        }
        Err(self.error(
            ErrorKind::NotAllowed,
            &format!(
                "hash: its SHA-256 is {}, which is not among the {} that may be loaded; if this is the build you trust, add it to \
                 the list",
                self.sha256,
                allowed.len()
            ),
        ))
    }

    /// Checks that it is a whole shared library for this machine.
    pub(crate) fn check_format(&self) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        super::elf::check(&self.bytes)
            .map_err(|text| self.error(ErrorKind::Format, &format!("format: {text}")))?;
        Ok(())
    }

    /// Checks that the symbol's name occurs in it, so that a foreign library is refused before its constructors run.
    pub(crate) fn check_export(&self) -> Result<(), Error> {
        let versions = exported_versions(&self.bytes);
        if versions.contains(&ABI_MAJOR) {
            return Ok(());
        }
        if let Some(other) = versions.iter().max() {
            return Err(self.error(
                ErrorKind::Abi,
                &format!(
                    "export: built for plugin ABI {other}, this host has {ABI_MAJOR}; rebuild the plugin with the `bimetal` crate \
                     of this version of Bimetal"
                ),
            ));
        }
        Err(self.error(ErrorKind::Export, &not_a_plugin()))
    }

    pub(crate) fn error(&self, kind: ErrorKind, text: &str) -> Error {
        Error::new(kind, format!("plugin `{}`: {text}", self.source))
    }
}

pub(super) fn not_a_plugin() -> String {
    format!(
        "export: not a Bimetal plugin, it does not export `{SYMBOL}`; in a plugin's crate, write `bimetal::plugin! {{ name: \
         \"...\" }}` and build without the feature `static`"
    )
}

/// The ABI versions whose symbol's name occurs in the file as a string of its own.
fn exported_versions(bytes: &[u8]) -> Vec<u32> {
    let prefix = SYMBOL_PREFIX.as_bytes();
    let mut versions = Vec::new();
    for start in memchr::memmem::find_iter(bytes, prefix) {
        let rest = &bytes[start + prefix.len()..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let whole = start > 0 && bytes[start - 1] == 0 && rest.get(digits) == Some(&0);
        let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok());
        if let (true, Some(number)) = (whole, number) {
            versions.push(number);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::exported_versions;

    #[test]
    fn only_whole_symbol_names_count() {
        assert_eq!(exported_versions(b"\0bimetal_plugin_v1\0other\0bimetal_plugin_v12\0"), [1, 12]);
        for none in [
            &b"bimetal_plugin_v1\0"[..],
            b"\0xbimetal_plugin_v1\0",
            b"\0bimetal_plugin_v1x\0",
            b"\0bimetal_plugin_v\0",
            b"\0bimetal_plugin_v1",
            b"",
        ] {
            assert!(exported_versions(none).is_empty(), "{none:?}");
        }
    }
}
