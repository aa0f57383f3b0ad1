//! The file of a Unix socket: made, replaced where nobody listens any more, removed.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Who may connect, where the file was not there before: everybody who can reach it, as with uvicorn.
const MODE: u32 = 0o666;

/// The file of a socket that was bound here. Dropping it removes the file, unless it is another socket's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// What is in the way of a socket.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Another server listens there.
    Taken,
    /// There is a file of another kind.
    File,
    /// The path is longer than the system allows.
    TooLong,
    Io(io::Error),
}

/// Binds a socket to `path`. A socket file on which nobody listens is replaced, and its mode kept.
pub(super) fn bind(path: &Path) -> Result<(Socket, SocketFile), Obstacle> {
    let address = SockAddr::unix(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Obstacle::TooLong,
        _ => Obstacle::Io(error),
    })?;
    // The working directory may be another one when it is removed.
    let path = path::absolute(path)?;
    let mode = clear(&path, &address)?.unwrap_or(MODE);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Obstacle::Taken,
        _ => Obstacle::Io(error),
    })?;
    let file = SocketFile { identity: identity(&path)?, path };
    fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    Ok((socket, file))
}

/// Removes the file of a socket on which nobody listens; its mode, if there was one.
fn clear(path: &Path, address: &SockAddr) -> Result<Option<u32>, Obstacle> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !found.file_type().is_socket() {
        return Err(Obstacle::File);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose backlog is full is one that listens.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error.into()),
        Ok(()) | Err(_) => return Err(Obstacle::Taken),
    }
    Ok(Some(found.mode() & 0o777))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl SocketFile {
    /// Whether it is still there and no other socket's.
    pub(super) fn is_ours(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours() {
            if let Err(error) = fs::remove_file(&self.path) {
                tracing::warn!(path = %self.path.display(), %error, "the socket's file cannot be removed");
            }
        }
    }
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Obstacle::Io(error)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Taken => {
                f.write_str("another server listens there (stop it, or choose another path with --uds)")
            }
            Obstacle::File => f.write_str(
                "there is a file that is no socket (remove it, or choose another path with --uds)",
            ),
            Obstacle::TooLong => {
                f.write_str("the path is too long for a socket (about 100 bytes are allowed)")
            }
            Obstacle::Io(error) => error.fmt(f),
        }
    }
}
