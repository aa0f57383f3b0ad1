//! One worker as a process: what it reports, what it is told.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::crew::Id;
use super::link::{
    framed, Messages, ASKS, ASKS_TO_LEAVE, GATHERED, GATHERS, INVALIDATES, LIVES, REPLIES, ROUTES, SERVES,
    STAGE, TELLS,
};
use super::{Launcher, Signal, Start};
use crate::breadcrumb::left_in;

/// How long the last words of a process that has ended may take to be read: they are there.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a worker reports, or what its process shows.
#[derive(Debug)]
pub(super) enum Event {
    Serves,
    Lives,
    AsksToLeave,
    /// It tells of itself, because it was asked or not.
    Told {
        text: String,
        asked: bool,
    },
    /// It tells which routes it serves.
    Routes(String),
    /// It wants to know what all have told.
    Gathers,
    /// It has made something invalid that others may have cached.
    Invalidates(String),
    /// It has come to this, and does not serve yet.
    Stage(String),
    /// With what it was calling, where a signal has ended it.
    Ended(io::Result<ExitStatus>, Vec<String>),
}

/// Where the events of all workers go.
pub(super) type Report = mpsc::UnboundedSender<(Id, Event)>;

/// A started worker.
pub(super) struct Process {
    id: Id,
    /// None once it has been waited for: the number may be another process's by then.
    pid: Rc<Cell<Option<u32>>>,
    /// What is written to it, by a task of its own: it may be stopped and read nothing.
    writes: mpsc::UnboundedSender<Vec<u8>>,
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
        let memory = launcher.memory()?;
        let start = Start { link: theirs.as_raw_fd(), memory: memory.as_raw_fd(), first };
        let child = Command::from(launcher.command(start)).spawn()?;
        // Open in the worker alone from now on: its end is the end of the stream.
        drop(theirs);
        let pid = Rc::new(Cell::new(child.id()));
        let (link, writer) = link.into_split();
        let (writes, to_write) = mpsc::unbounded_channel();
        spawn_local(write(writer, to_write));
        spawn_local(follow(id, child, link, memory, pid.clone(), report));
        Ok(Process { id, pid, writes })
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.pid.get()
    }

    /// Has it tell of itself.
    pub(super) fn ask(&self) {
        let _ = self.writes.send(vec![ASKS]);
    }

    /// Tells it the figures of all.
    pub(super) fn tell(&self, figures: &str) {
        let _ = self.writes.send(framed(GATHERED, figures));
    }

    /// Tells it what another worker has made invalid.
    pub(super) fn invalidate(&self, target: &str) {
        let _ = self.writes.send(framed(INVALIDATES, target));
    }

    pub(super) fn signal(&self, launcher: &impl Launcher, signal: Signal) {
        if let Some(pid) = self.pid.get() {
            launcher.signal(pid, signal);
        }
    }
}

async fn write(mut link: OwnedWriteHalf, mut writes: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = writes.recv().await {
        if link.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn follow(
    id: Id,
    mut child: Child,
    link: OwnedReadHalf,
    memory: File,
    pid: Rc<Cell<Option<u32>>>,
    report: Report,
) {
    let mut line = Line { id, link, report, messages: Messages::default(), open: true };
    let status = loop {
        tokio::select! {
            status = child.wait() => {
                pid.set(None);
                break status;
            }
            () = line.read(), if line.open => {}
        }
    };
    // What it has said last.
    while line.open && timeout(LAST_WORDS, line.read()).await.is_ok() {}
    let by_signal = status.as_ref().is_ok_and(|status| status.signal().is_some());
    let calls = if by_signal { left_in(&memory) } else { Ok(Vec::new()) };
    let calls = calls.unwrap_or_else(|error| vec![format!("what cannot be read: {error}")]);
    let _ = line.report.send((id, Event::Ended(status, calls)));
}

/// What a worker says.
struct Line {
    id: Id,
    link: OwnedReadHalf,
    report: Report,
    messages: Messages,
    open: bool,
}

impl Line {
    /// Reads some of it. Nothing is lost where it is not awaited to the end.
    async fn read(&mut self) {
        let mut bytes = [0; 16 * 1024];
        let read = self.link.read(&mut bytes).await.unwrap_or(0);
        self.open = read > 0;
        self.messages.push(&bytes[..read]);
        while let Some((kind, text)) = self.messages.next() {
            let event = match kind {
                SERVES => Event::Serves,
                LIVES => Event::Lives,
                ASKS_TO_LEAVE => Event::AsksToLeave,
                TELLS => Event::Told { text, asked: false },
                REPLIES => Event::Told { text, asked: true },
                GATHERS => Event::Gathers,
                ROUTES => Event::Routes(text),
                STAGE => Event::Stage(text),
                INVALIDATES => Event::Invalidates(text),
                _ => continue,
            };
            let _ = self.report.send((self.id, event));
        }
    }
}
