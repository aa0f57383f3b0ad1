//! The memory in which the workers of a machine count their clients: made by the supervisor, mapped by each worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::slice;

use bimetal_runtime::limit::{Clock, Set, Table, SHARED_SETS, SHARED_SIZE};

/// New memory that processes can inherit: a file without a name, which takes no more of it than is used.
pub(crate) fn memory() -> io::Result<File> {
    // SAFETY: the name is a C string; a descriptor is given, or -1.
    let file = match unsafe { libc::memfd_create(c"bimetal-limits".as_ptr(), libc::MFD_CLOEXEC) } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: it is open, new, and nobody else's.
        descriptor => unsafe { File::from_raw_fd(descriptor) },
    };
    file.set_len(SHARED_SIZE as u64)?;
    file.write_all_at(&Table::random_seed().to_ne_bytes(), 0)?;
    Ok(file)
}

/// The memory that a supervisor has left, for the rest of this process's life.
pub(crate) fn map(memory: OwnedFd) -> io::Result<&'static [Set]> {
    let file = File::from(memory);
    if file.metadata()?.len() < SHARED_SIZE as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice, of a descriptor that is open; a failure is looked for.
    let mapped = unsafe {
        libc::mmap(ptr::null_mut(), SHARED_SIZE, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is SHARED_SIZE bytes at the beginning of a page, which is enough for SHARED_SETS sets and aligned more than they
    // need; it is never unmapped, and the file, which only the supervisor and its workers have, is never made shorter. A set is made of
    // atomic integers, for which all bytes are valid, and which others may change meanwhile.
    Ok(unsafe { slice::from_raw_parts(mapped.cast::<Set>(), SHARED_SETS) })
}

/// A clock that all processes of the machine agree on.
pub(crate) fn clock() -> Clock {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours. This clock is there on every system, so that the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let part = |part: libc::c_long| u64::try_from(part).unwrap_or_default();
    Clock::starting_at(part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec)))
}
