//! A private copy of the library, named by its hash, in a folder of this user. It is gone again when the library is open: what
//! is mapped stays.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::LibraryFile;
use crate::{Error, ErrorKind};

/// A copy of this age was left by a process that ended within the moment for which one exists.
const STALE: Duration = Duration::from_secs(3600);

/// The copy, until it is dropped.
pub(super) struct Staged {
    path: PathBuf,
}

impl Staged {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes the copy.
pub(super) fn copy(file: &LibraryFile) -> Result<Staged, Error> {
    let folder = folder().map_err(|(folder, text)| {
        file.error(
            ErrorKind::Stage,
            &format!("stage: {} {text}; remove it, or set TMPDIR to a folder of this user", folder.display()),
        )
    })?;
    sweep(&folder);
    write(&folder, file).map_err(|error| {
        file.error(
            ErrorKind::Stage,
            &format!(
                "stage: no copy could be written to {} ({error}); make room there, or set TMPDIR to another folder",
                folder.display()
            ),
        )
        .with_cause(error)
    })
}

/// Writes under a name that no other process has: one with the same number may run in another container.
fn write(folder: &Path, file: &LibraryFile) -> io::Result<Staged> {
    let process = std::process::id();
    let mut serial = 0;
    let (path, mut copy) = loop {
        let path = folder.join(format!("{}-{process}-{serial}.so", file.sha256));
        match OpenOptions::new().write(true).create_new(true).mode(0o500).open(&path) {
            Ok(copy) => break (path, copy),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && serial < 1000 => serial += 1,
            Err(error) => return Err(error),
        }
    };
    let staged = Staged { path };
    copy.write_all(&file.bytes)?;
    Ok(staged)
}

/// Removes what ended processes have left.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age =
            entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The folder, made where it is not there; what is wrong with it, if it is not this user's alone.
fn folder() -> Result<PathBuf, (PathBuf, String)> {
    // SAFETY: takes no argument and cannot fail.
    let user = unsafe { libc::geteuid() };
    let folder = std::env::temp_dir().join(format!("bimetal-plugins-{user}"));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err((folder, format!("cannot be made ({error})"))),
    }
    match fs::symlink_metadata(&folder) {
        Ok(found) if !found.is_dir() => Err((folder, "is not a folder".into())),
        Ok(found) if found.uid() != user => Err((folder, "belongs to another user".into())),
        Ok(found) if found.mode() & 0o077 != 0 => {
            Err((folder, format!("is open to others (mode {:04o})", found.mode() & 0o7777)))
        }
        Ok(_) => Ok(folder),
        Err(error) => Err((folder, format!("cannot be read ({error})"))),
    }
}
