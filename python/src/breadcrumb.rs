//! The memory for a worker's breadcrumbs: made by the supervisor, mapped by the worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::slice;

use bimetal_runtime::breadcrumb::{install, Place, PLACES, PLACES_SIZE};

/// New memory that a process can inherit, full of zeros: a file without a name.
pub(crate) fn memory() -> io::Result<File> {
    // SAFETY: the name is a C string; a descriptor is given, or -1.
    let file = match unsafe { libc::memfd_create(c"bimetal-breadcrumbs".as_ptr(), libc::MFD_CLOEXEC) } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: it is open, new, and nobody else's.
        descriptor => unsafe { File::from_raw_fd(descriptor) },
    };
    file.set_len(PLACES_SIZE as u64)?;
    Ok(file)
}

/// Leaves the breadcrumbs of this process in `memory`, for the rest of its life.
pub(crate) fn leave_in(memory: OwnedFd) -> io::Result<()> {
    let file = File::from(memory);
    if file.metadata()?.len() < PLACES_SIZE as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice, of a descriptor that is open; a failure is looked for.
    let mapped = unsafe {
        libc::mmap(ptr::null_mut(), PLACES_SIZE, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is PLACES_SIZE bytes at the beginning of a page, which is enough for PLACES places and aligned more than
    // they need; it is never unmapped, and the file, which only its supervisor has besides, is never made shorter. A place is made
    // of atomic integers, for which all bytes are valid, and which others may read meanwhile.
    let places = unsafe { slice::from_raw_parts(mapped.cast::<Place>(), PLACES) };
    install(file, places);
    Ok(())
}
