//! Threads and descriptors for files: what waits for a disk, and how much of it there may be.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::root::{Miss, Patience};
use crate::breadcrumb::Breadcrumb;
use crate::lane::{Full, Pool, PoolConfig};

/// How much of a file is read and sent at a time, in bytes.
pub(super) const CHUNK: usize = 64 * 1024;

/// How much the files of one server may take.
#[derive(Clone, Copy, Debug)]
pub struct DiskLimits {
    /// Threads that wait for disks, and requests that wait for one of them.
    pub threads: usize,
    /// Requests that may wait for a thread; a further one is answered 503.
    pub queue: usize,
    /// Files that are open because they are being sent; a further one is answered 503.
    pub open_files: usize,
    /// How long a disk may take for an answer; then it is 504, or the end of the connection.
    pub patience: Duration,
}

impl Default for DiskLimits {
    fn default() -> Self {
        DiskLimits { threads: 32, queue: 4096, open_files: 4096, patience: Duration::from_secs(30) }
    }
}

/// What reads the files of one server: shared by all folders it serves.
pub struct Disk {
    pool: Pool,
    open: AtomicUsize,
    limits: DiskLimits,
}

impl Disk {
    /// Without a thread until one is needed.
    pub fn new(limits: DiskLimits) -> Arc<Disk> {
        let config = PoolConfig { threads: limits.threads, queue: limits.queue, ..PoolConfig::default() };
        Arc::new(Disk { pool: Pool::new("bimetal-files", config), open: AtomicUsize::new(0), limits })
    }

    /// Ends the threads that have nothing to do, and refuses further work. One that waits for a disk ends when that answers.
    pub fn close(&self) {
        self.pool.close();
    }

    pub(super) fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// Has a thread do `work`; what comes of it arrives in the receiver, or an error where it panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Full> {
        let breadcrumb = Breadcrumb::current();
        let (sender, receiver) = oneshot::channel();
        self.pool.submit(Box::new(move || {
            // The receiver is gone when the client is.
            if !sender.is_closed() {
                let _ = sender.send(breadcrumb.during(work));
            }
        }))?;
        Ok(receiver)
    }

    /// Keeps `file` open for a response that is being sent.
    pub(super) fn keep(self: &Arc<Disk>, file: OwnedFd) -> Result<OpenFile, Miss> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let kept = OpenFile { file, disk: Arc::clone(self) };
        if open >= self.limits.open_files {
            return Err(Miss::Exhausted);
        }
        Ok(kept)
    }
}

/// A file that is being sent. It counts as long as it lives.
pub(super) struct OpenFile {
    file: OwnedFd,
    pub(super) disk: Arc<Disk>,
}

impl OpenFile {
    /// See [`read`].
    pub(super) fn read(&self, start: u64, length: usize, patience: Patience) -> Result<Bytes, Miss> {
        read(self.file.as_fd(), start, length, patience)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.disk.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `length` bytes of `file` from `start` on. Where it has fewer it has changed.
pub(super) fn read(
    file: BorrowedFd<'_>,
    start: u64,
    length: usize,
    patience: Patience,
) -> Result<Bytes, Miss> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let at = start + filled as u64;
        match read_some(file, &mut buffer[filled..], at, patience) {
            Ok(0) => return Err(Miss::Changed),
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(_) if patience == Patience::Cached => return Err(Miss::NotNow),
            Err(error) => return Err(Miss::from(error)),
        }
    }
    Ok(buffer.into())
}

fn read_some(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64, patience: Patience) -> Result<usize, Errno> {
    match patience {
        Patience::Waits => rustix::io::pread(file, buffer, at),
        #[cfg(target_os = "linux")]
        Patience::Cached => {
            let mut buffers = [std::io::IoSliceMut::new(buffer)];
            rustix::io::preadv2(file, &mut buffers, at, rustix::io::ReadWriteFlags::NOWAIT)
        }
        #[cfg(not(target_os = "linux"))]
        Patience::Cached => Err(Errno::AGAIN),
    }
}
