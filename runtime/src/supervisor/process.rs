//! One worker as a process: what it reports, what it is told.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::ExitStatus;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::crew::Id;
use super::link::{ASKS_TO_LEAVE, LIVES, SERVES};
use super::{Launcher, Signal, Start};

/// What a worker reports, or what its process shows.
#[derive(Debug)]
pub(super) enum Event {
    Serves,
    Lives,
    AsksToLeave,
    Ended(io::Result<ExitStatus>),
}

/// Where the events of all workers go.
pub(super) type Report = mpsc::UnboundedSender<(Id, Event)>;

/// A started worker.
pub(super) struct Process {
    id: Id,
    /// None once it has been waited for: the number may be another process's by then.
    pid: Rc<Cell<Option<u32>>>,
}

impl Process {
    /// Starts it. Its events go to `report`; the last one is its end.
    pub(super) fn start(
        id: Id,
        first: bool,
        launcher: &mut impl Launcher,
        report: Report,
    ) -> io::Result<Process> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let link = UnixStream::from_std(ours)?;
        let child = Command::from(launcher.command(Start { link: theirs.as_raw_fd(), first })).spawn()?;
        // Open in the worker alone from now on: its end is the end of the stream.
        drop(theirs);
        let pid = Rc::new(Cell::new(child.id()));
        spawn_local(follow(id, child, link, pid.clone(), report));
        Ok(Process { id, pid })
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.pid.get()
    }

    pub(super) fn signal(&self, launcher: &impl Launcher, signal: Signal) {
        if let Some(pid) = self.pid.get() {
            launcher.signal(pid, signal);
        }
    }
}

async fn follow(id: Id, mut child: Child, mut link: UnixStream, pid: Rc<Cell<Option<u32>>>, report: Report) {
    let mut open = true;
    let mut bytes = [0; 64];
    let status = loop {
        tokio::select! {
            status = child.wait() => {
                pid.set(None);
                break status;
            }
            read = link.read(&mut bytes), if open => {
                let read = read.unwrap_or(0);
                open = read > 0;
                for byte in &bytes[..read] {
                    let event = match *byte {
                        SERVES => Event::Serves,
                        LIVES => Event::Lives,
                        ASKS_TO_LEAVE => Event::AsksToLeave,
                        _ => continue,
                    };
                    let _ = report.send((id, event));
                }
            }
        }
    };
    let _ = report.send((id, Event::Ended(status)));
}
