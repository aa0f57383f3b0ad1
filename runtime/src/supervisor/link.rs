//! The line between a supervisor and a worker: a socket pair.
//!
//! The worker writes single bytes. Either side learns from the end of the stream that the other one is gone.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// The worker serves.
pub(super) const SERVES: u8 = b'S';
/// The worker is alive.
pub(super) const LIVES: u8 = b'L';
/// The worker would like another one to take its place.
pub(super) const ASKS_TO_LEAVE: u8 = b'A';

/// How often a worker shows that it is alive.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// A worker's end of the line.
///
/// A thread of its own shows the supervisor that the process is alive, whatever the others are doing, and sees the
/// supervisor's end.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
}

impl Link {
    /// Takes the worker's end. `orphaned` is called when the supervisor has ended, on a thread of the link.
    pub fn new(stream: UnixStream, orphaned: impl FnOnce() + Send + 'static) -> io::Result<Link> {
        stream.set_read_timeout(Some(BEAT))?;
        let watched = stream.try_clone()?;
        thread::Builder::new().name("bimetal-link".to_owned()).spawn(move || {
            watch(watched);
            orphaned();
        })?;
        Ok(Link { stream })
    }

    /// The worker accepts connections.
    pub fn serves(&self) {
        self.tell(SERVES);
    }

    /// The worker would like to end: another one is started, and this one is drained when that serves.
    pub fn ask_to_leave(&self) {
        self.tell(ASKS_TO_LEAVE);
    }

    fn tell(&self, what: u8) {
        // Whether the supervisor is there is seen by the thread.
        let _ = (&self.stream).write_all(&[what]);
    }
}

/// Returns when the other end is gone.
fn watch(mut stream: UnixStream) {
    let mut buffer = [0; 16];
    loop {
        if stream.write_all(&[LIVES]).is_err() {
            return;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => return,
        }
    }
}
