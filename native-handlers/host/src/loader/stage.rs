//! A private copy of the library, named by its hash, in a folder of this user.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::LibraryFile;
use crate::{Error, ErrorKind};

/// The copy's path. A copy that is there already is used if its bytes are the same.
pub(super) fn copy(file: &LibraryFile) -> Result<PathBuf, Error> {
    let folder = folder().map_err(|(folder, text)| {
        file.error(
            ErrorKind::Stage,
            &format!("stage: {} {text}; remove it, or set TMPDIR to a folder of this user", folder.display()),
        )
    })?;
    let staged = folder.join(format!("{}.so", file.sha256));
    if fs::symlink_metadata(&staged).is_ok_and(|found| found.is_file())
        && fs::read(&staged).is_ok_and(|bytes| bytes == file.bytes)
    {
        return Ok(staged);
    }
    write(&folder, &staged, &file.bytes).map_err(|error| {
        file.error(
            ErrorKind::Stage,
            &format!(
                "stage: no copy could be written to {} ({error}); make room there, or set TMPDIR to another folder",
                folder.display()
            ),
        )
        .with_cause(error)
    })?;
    Ok(staged)
}

/// Writes under a name of its own and renames, so that no process ever sees half a copy.
fn write(folder: &Path, staged: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let partial = folder.join(format!("partial-{}-{serial}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(&partial)
        .and_then(|mut copy| copy.write_all(bytes))
        .and_then(|()| fs::rename(&partial, staged));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// The folder, made where it is not there; what is wrong with it, if it is not this user's alone.
fn folder() -> Result<PathBuf, (PathBuf, String)> {
    // SAFETY: takes no argument and cannot fail.
    let user = unsafe { libc::geteuid() };
    let folder = std::env::temp_dir().join(format!("bimetal-plugins-{user}"));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
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
