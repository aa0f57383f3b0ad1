//! Finding a file below a folder, and nothing that is not below it.
//!
//! A name has no `..` when it gets to the file system, and is opened from a descriptor of the folder. Where links are not
//! followed freely, the system refuses to go through any (`RESOLVE_NO_SYMLINKS`), so what is opened is below the folder
//! whatever somebody changes meanwhile. A name with a link in it is resolved first, its target is checked, and that name,
//! which has no links, is opened by the same rule.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{fstat, openat, FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;

use super::path::Relative;

/// Whether a disk, or a server behind a mount, may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Only what the kernel has in its caches.
    Cached,
    /// As long as it takes.
    Waits,
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Nothing is there that may be seen.
    Absent,
    /// A folder on the way, or the file, is closed to this process.
    Denied,
    /// No file can be called so.
    TooLong,
    /// The folder itself is not there.
    NoRoot,
    /// It cannot be said without waiting.
    NotNow,
    /// Another file is there than a moment ago.
    Changed,
    /// There are no descriptors left.
    Exhausted,
    /// What the system says else.
    Failed(Errno),
}

impl From<Errno> for Miss {
    fn from(error: Errno) -> Miss {
        match error {
            Errno::NOENT | Errno::NOTDIR => Miss::Absent,
            Errno::ACCESS | Errno::PERM => Miss::Denied,
            Errno::NAMETOOLONG => Miss::TooLong,
            Errno::MFILE | Errno::NFILE => Miss::Exhausted,
            other => Miss::Failed(other),
        }
    }
}

impl Miss {
    fn of(error: Errno, patience: Patience) -> Miss {
        match error {
            // The second: another file system, which may be one that is waited for.
            Errno::AGAIN | Errno::XDEV if patience == Patience::Cached => Miss::NotNow,
            other => Miss::from(other),
        }
    }
}

/// Something below a folder, not opened for reading yet.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name below the folder, with all links resolved where they count.
    pub(super) name: PathBuf,
    pub(super) kind: FileType,
    pub(super) size: u64,
    /// When it was modified: seconds, and nanoseconds beyond them.
    pub(super) modified: (i64, u32),
    identity: (u64, u64),
    root: OwnedFd,
    links: Links,
}

impl Node {
    pub(super) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(super) fn is_folder(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// Opens the file for reading: the one that was found, or none.
    pub(super) fn open(&self, patience: Patience) -> Result<OwnedFd, Miss> {
        // What was a file a moment ago may be a pipe by now: never wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = open_below(self.root.as_fd(), &self.name, flags, self.links, patience);
        let file = opened.map_err(|error| match Miss::of(error, patience) {
            Miss::Absent | Miss::Failed(Errno::LOOP | Errno::NXIO) => Miss::Changed,
            other => other,
        })?;
        let stat = fstat(&file).map_err(Miss::from)?;
        let is_same = identity(&stat) == self.identity && FileType::from_raw_mode(stat.st_mode) == self.kind;
        is_same.then_some(file).ok_or(Miss::Changed)
    }

    /// The names in the folder, `most` of them at most.
    pub(super) fn entries(&self, most: usize) -> Result<Vec<String>, Miss> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = if self.name.as_os_str().is_empty() {
            openat(&self.root, c".", flags, Mode::empty())
        } else {
            open_below(self.root.as_fd(), &self.name, flags, self.links, Patience::Waits)
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(folder.map_err(Miss::from)?).map_err(Miss::from)? {
            let entry = entry.map_err(Miss::from)?;
            if names.len() == most {
                break;
            }
            // A name that is no text has no URL.
            if let Ok(name) = entry.file_name().to_str() {
                if name != "." && name != ".." {
                    names.push(name.to_owned());
                }
            }
        }
        Ok(names)
    }
}

/// What happens where a name leads through symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// They are gone through, wherever they lead.
    Followed,
    /// Nothing is opened.
    Refused,
}

/// A folder to be served.
#[derive(Debug)]
pub(super) struct Root {
    directory: PathBuf,
    /// Whether links may lead out of it.
    follow_symlinks: bool,
    /// The device of the folder, once it is known to be one of this machine; 0 before. What is in its caches can be had
    /// without waiting.
    local: AtomicU64,
}

impl Root {
    /// `directory` may be relative to the working directory, and is looked for anew each time.
    pub(super) fn new(directory: PathBuf, follow_symlinks: bool) -> Root {
        Root { directory, follow_symlinks, local: AtomicU64::new(0) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is called `name` below the folder.
    pub(super) fn find(&self, name: &Relative, patience: Patience) -> Result<Node, Miss> {
        if name.ups() > 0 {
            return match (patience, self.follow_symlinks) {
                (Patience::Cached, _) => Err(Miss::NotNow),
                (Patience::Waits, false) => self.resolve(&name.written()),
                (Patience::Waits, true) => match self.led_back(name) {
                    Some(below) => self.descend(&below, patience),
                    None => Err(Miss::Absent),
                },
            };
        }
        self.descend(name.below(), patience)
    }

    fn descend(&self, below: &str, patience: Patience) -> Result<Node, Miss> {
        let local = self.local.load(Ordering::Relaxed);
        if patience == Patience::Cached && local == 0 {
            return Err(Miss::NotNow);
        }
        let root = open_folder(&self.directory, patience)?;
        if patience == Patience::Waits && local == 0 {
            self.local.store(local_device(&root), Ordering::Relaxed);
        }
        let links = if self.follow_symlinks { Links::Followed } else { Links::Refused };
        match look(root, PathBuf::from(below), links, patience) {
            Ok(node) if patience == Patience::Cached && node.identity.0 != local => Err(Miss::NotNow),
            Err(Miss::Failed(Errno::LOOP)) if links == Links::Refused => match patience {
                Patience::Cached => Err(Miss::NotNow),
                Patience::Waits => self.resolve(below),
            },
            found => found,
        }
    }

    /// The same for a name that leads through links, or out of the folder first: what its end is called without them, if
    /// that is below the folder.
    fn resolve(&self, written: &str) -> Result<Node, Miss> {
        let raw = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let root = fs::canonicalize(&self.directory).map_err(|error| match Miss::from(raw(error)) {
            Miss::Absent => Miss::NoRoot,
            other => other,
        })?;
        let end = fs::canonicalize(self.directory.join(written)).map_err(|error| match raw(error) {
            // Whether it is below the folder is not known.
            error @ (Errno::ACCESS | Errno::PERM) => Miss::Failed(error),
            error => Miss::from(error),
        })?;
        let Ok(below) = end.strip_prefix(&root) else { return Err(Miss::Absent) };
        let folder = open_folder(&root, Patience::Waits)?;
        match look(folder, below.to_owned(), Links::Refused, Patience::Waits) {
            // It is a link by now: somebody changes things this very moment.
            Err(Miss::Failed(Errno::LOOP)) => Err(Miss::Absent),
            found => found,
        }
    }

    /// Where `name` leads by its text alone, if that is below the folder again.
    fn led_back(&self, name: &Relative) -> Option<String> {
        let root = plain(&std::path::absolute(&self.directory).ok()?);
        let end = plain(&root.join(name.written()));
        end.strip_prefix(&root).ok()?.to_str().map(str::to_owned)
    }
}

/// An absolute path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                kept.pop();
            }
            Component::CurDir => {}
            other => kept.push(other),
        }
    }
    kept
}

#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn look(root: OwnedFd, name: PathBuf, links: Links, patience: Patience) -> Result<Node, Miss> {
    let stat = if name.as_os_str().is_empty() {
        fstat(&root)
    } else {
        open_below(root.as_fd(), &name, WITHOUT_READING, links, patience).and_then(fstat)
    };
    let stat = stat.map_err(|error| Miss::of(error, patience))?;
    Ok(Node {
        name,
        kind: FileType::from_raw_mode(stat.st_mode),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        identity: identity(&stat),
        root,
        links,
    })
}

#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// How something is opened only to be looked at: no pipe is waited for, no device begins to do something.
#[cfg(target_os = "linux")]
const WITHOUT_READING: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const WITHOUT_READING: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

fn open_folder(directory: &Path, patience: Patience) -> Result<OwnedFd, Miss> {
    let flags = WITHOUT_READING | OFlags::DIRECTORY;
    let opened = match patience {
        Patience::Waits => openat(CWD, directory, flags, Mode::empty()),
        Patience::Cached => open_below(CWD, directory, flags, Links::Followed, patience),
    };
    opened.map_err(|error| match Miss::of(error, patience) {
        Miss::Absent => Miss::NoRoot,
        other => other,
    })
}

#[cfg(target_os = "linux")]
fn open_below(
    root: BorrowedFd<'_>,
    name: &Path,
    flags: OFlags,
    links: Links,
    patience: Patience,
) -> Result<OwnedFd, Errno> {
    use rustix::fs::{openat2, ResolveFlags};

    let mut resolve = match links {
        Links::Refused => ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
        Links::Followed => ResolveFlags::empty(),
    };
    if patience == Patience::Cached {
        resolve |= ResolveFlags::CACHED;
    }
    match openat2(root, name, flags, Mode::empty(), resolve) {
        // Linux before 5.6 and sandboxes do not have the call, before 5.12 not its flag for cached lookups.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) if patience == Patience::Cached => Err(Errno::AGAIN),
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, name, flags, links),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_below(
    root: BorrowedFd<'_>,
    name: &Path,
    flags: OFlags,
    links: Links,
    patience: Patience,
) -> Result<OwnedFd, Errno> {
    match patience {
        Patience::Cached => Err(Errno::AGAIN),
        Patience::Waits => step_by_step(root, name, flags, links),
    }
}

/// The same without the help of the system: folder by folder, each opened from the one before.
fn step_by_step(root: BorrowedFd<'_>, name: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    if links == Links::Followed {
        return openat(root, name, flags, Mode::empty());
    }
    let mut at: Option<OwnedFd> = None;
    let mut parts = name.iter().peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { WITHOUT_READING } else { flags };
        let from = at.as_ref().map_or(root, AsFd::as_fd);
        let opened = openat(from, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
        // Opened without being read, a link is there as a link.
        if FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        at = Some(opened);
    }
    at.ok_or(Errno::NOENT)
}

/// The device of a folder on a disk of this machine; 0 for one that is somewhere else, or of an unknown kind.
#[cfg(target_os = "linux")]
fn local_device(folder: &OwnedFd) -> u64 {
    /// ext, XFS, btrfs, tmpfs, overlayfs, ZFS, F2FS, squashfs, EROFS, bcachefs.
    const LOCAL: [u32; 10] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0x0102_1994,
        0x794C_7630,
        0x2FC1_2FC1,
        0xF2F5_2010,
        0x7371_7368,
        0xE0F5_E1E2,
        0xCA45_1A4E,
    ];
    match (rustix::fs::fstatfs(folder), fstat(folder)) {
        (Ok(system), Ok(stat)) if LOCAL.contains(&(system.f_type as u32)) => identity(&stat).0,
        _ => 0,
    }
}

#[cfg(not(target_os = "linux"))]
fn local_device(_folder: &OwnedFd) -> u64 {
    0
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
