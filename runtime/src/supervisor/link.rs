//! The line between a supervisor and a worker: a socket pair.
//!
//! Either side writes single bytes, and texts with their length before them. Either side learns from the end of the stream
//! that the other one is gone.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The worker serves.
pub(super) const SERVES: u8 = b'S';
/// The worker is alive.
pub(super) const LIVES: u8 = b'L';
/// The worker would like another one to take its place.
pub(super) const ASKS_TO_LEAVE: u8 = b'A';
/// The worker would like to know the figures of all.
pub(super) const GATHERS: u8 = b'G';
/// The worker tells of itself, unasked. A text follows.
pub(super) const TELLS: u8 = b'P';
/// The worker tells of itself because it was asked. A text follows.
pub(super) const REPLIES: u8 = b'M';
/// The routes that the worker serves. A text follows.
pub(super) const ROUTES: u8 = b'R';
/// The worker does not serve yet, and has come to what follows, a text.
pub(super) const STAGE: u8 = b'W';
/// The supervisor asks a worker to tell of itself.
pub(super) const ASKS: u8 = b'Q';
/// The supervisor has the figures of all. A text follows.
pub(super) const GATHERED: u8 = b'T';

/// Something that is cached has become invalid: told by a worker, and to all the others. A text follows.
pub(super) const INVALIDATES: u8 = b'I';

/// How often a worker shows that it is alive.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// How often it tells of itself: what it has counted since is lost when it is killed.
const TELL: Duration = Duration::from_secs(2);

/// Writes that may wait; the supervisor is stopped, or gone, when there are more.
const WAITING: usize = 64;

/// How long the others may take to be told of an invalidation: the supervisor is stopped, or gone, when it takes longer.
const TOLD: Duration = Duration::from_secs(1);

/// How long a worker that ends waits until its last words have been taken.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a worker is, as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not serve yet.
    Starting,
    /// It takes requests.
    Ready,
    /// It takes requests, and should have fewer.
    Overloaded,
    /// It finishes what it has.
    Draining,
}

impl State {
    pub(super) const ALL: [State; 4] = [State::Starting, State::Ready, State::Overloaded, State::Draining];
}

/// What a worker tells of itself: where it is, its readiness as JSON on one line, its figures.
pub type Telling = Box<dyn Fn() -> (State, String, String) + Send + Sync>;

/// Takes in what another worker has made invalid, a [`Target`](crate::cache::Target) as a text.
pub type Obeying = Box<dyn Fn(&str) + Send + Sync>;

/// A worker's end of the line. Clones share.
///
/// A thread of its own shows the supervisor that the process is alive, whatever the others are doing, tells of it, and sees
/// the supervisor's end. Another one writes, so that nobody has to wait for a supervisor that has been stopped.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    writes: SyncSender<Order>,
    telling: Mutex<Option<Telling>>,
    obeying: Mutex<Option<Obeying>>,
    /// Who waits for the figures of all, in order.
    gathering: Mutex<VecDeque<oneshot::Sender<String>>>,
}

/// What the writing thread is to do.
enum Order {
    Bytes(Vec<u8>),
    /// Says when all before has been written.
    Flush(SyncSender<()>),
}

impl Link {
    /// Takes the worker's end. `orphaned` is called when the supervisor has ended, on a thread of the link.
    pub fn new(stream: UnixStream, orphaned: impl FnOnce() + Send + 'static) -> io::Result<Link> {
        stream.set_read_timeout(Some(BEAT))?;
        let writer = stream.try_clone()?;
        let (writes, to_write) = sync_channel(WAITING);
        let shared = Arc::new(Shared {
            writes,
            telling: Mutex::default(),
            obeying: Mutex::default(),
            gathering: Mutex::default(),
        });
        let watching = Arc::clone(&shared);
        thread::Builder::new().name("bimetal-link-out".to_owned()).spawn(move || write(writer, &to_write))?;
        thread::Builder::new().name("bimetal-link".to_owned()).spawn(move || {
            watch(stream, &watching);
            orphaned();
        })?;
        Ok(Link { shared })
    }

    /// The worker accepts connections.
    pub fn serves(&self) {
        self.shared.say(SERVES);
    }

    /// The worker does not serve yet, and does this next: a participle and its object.
    pub fn stage(&self, what: &str) {
        self.shared.send(framed(STAGE, what));
    }

    /// The worker would like to end: another one is started, and this one is drained when that serves.
    pub fn ask_to_leave(&self) {
        self.shared.say(ASKS_TO_LEAVE);
    }

    /// Has the supervisor told of this worker by `telling`, now and then and when it asks. It is called on a thread of the link, and
    /// must not wait for anything that may last.
    pub fn tell_by(&self, telling: Telling) {
        *lock(&self.shared.telling) = Some(telling);
    }

    /// Tells which routes the worker serves, as a JSON array.
    pub fn tell_routes(&self, routes: &str) {
        let _ = self.shared.writes.send(Order::Bytes(framed(ROUTES, routes)));
    }

    /// Has what other workers make invalid taken in by `obeying`, on a thread of the link. It must not wait for anything.
    pub fn obey_by(&self, obeying: Obeying) {
        *lock(&self.shared.obeying) = Some(obeying);
    }

    /// Tells all other workers what has become invalid, a [`Target`](crate::cache::Target) as a text. Whether it is on its way; waits
    /// a second for that at most.
    #[must_use]
    pub fn invalidate(&self, target: &str) -> bool {
        let deadline = Instant::now() + TOLD;
        while !self.shared.send(framed(INVALIDATES, target)) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// The figures of all workers, to come. Never waits.
    pub fn gather(&self) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        // Under the lock, so that whoever comes first asks first.
        let mut gathering = lock(&self.shared.gathering);
        if self.shared.send(vec![GATHERS]) {
            gathering.push_back(sender);
        }
        receiver
    }

    /// Tells of the worker for the last time, and waits a moment until that is on its way.
    pub fn last_words(&self) {
        self.shared.tell(TELLS);
        let (written, wait) = sync_channel(1);
        if self.shared.writes.try_send(Order::Flush(written)).is_ok() {
            let _ = wait.recv_timeout(LAST_WORDS);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Shared {
    /// Sends what is said once and must arrive; waits where the supervisor has been stopped for long.
    fn say(&self, what: u8) {
        let _ = self.writes.send(Order::Bytes(vec![what]));
    }

    /// Whether it will be written, as far as that is known.
    fn send(&self, bytes: Vec<u8>) -> bool {
        // Whether the supervisor is there is seen by the thread that reads.
        self.writes.try_send(Order::Bytes(bytes)).is_ok()
    }

    fn tell(&self, how: u8) {
        let telling = lock(&self.telling);
        // The sign of life comes from this thread: a panic must not end it.
        let told = catch_unwind(AssertUnwindSafe(|| telling.as_ref().map(|telling| telling())));
        let (state, readiness, figures) =
            told.ok().flatten().unwrap_or_else(|| (State::Starting, String::new(), String::new()));
        self.send(framed(how, &format!("{}{readiness}\n{figures}", state as u8)));
    }
}

/// A text with its kind and its length before it.
pub(super) fn framed(kind: u8, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 5);
    bytes.push(kind);
    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Takes apart what has been read.
#[derive(Debug, Default)]
pub(super) struct Messages {
    buffer: Vec<u8>,
}

impl Messages {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is whole: its kind, and its text where it has one.
    pub(super) fn next(&mut self) -> Option<(u8, String)> {
        let kind = *self.buffer.first()?;
        if !matches!(kind, TELLS | REPLIES | GATHERED | ROUTES | STAGE | INVALIDATES) {
            self.buffer.remove(0);
            return Some((kind, String::new()));
        }
        let length = u32::from_be_bytes(self.buffer.get(1..5)?.try_into().ok()?) as usize;
        let text = self.buffer.get(5..5 + length)?;
        let text = String::from_utf8_lossy(text).into_owned();
        self.buffer.drain(..5 + length);
        Some((kind, text))
    }
}

fn write(mut stream: UnixStream, writes: &Receiver<Order>) {
    while let Ok(write) = writes.recv() {
        match write {
            Order::Bytes(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Order::Flush(written) => {
                let _ = written.try_send(());
            }
        }
    }
}

/// Returns when the other end is gone.
fn watch(mut stream: UnixStream, shared: &Shared) {
    let mut bytes = vec![0; 16 * 1024];
    let mut messages = Messages::default();
    let mut told = Instant::now();
    loop {
        shared.send(vec![LIVES]);
        if told.elapsed() >= TELL {
            told = Instant::now();
            shared.tell(TELLS);
        }
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => messages.push(&bytes[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => return,
        }
        while let Some((kind, text)) = messages.next() {
            match kind {
                ASKS => shared.tell(REPLIES),
                GATHERED => {
                    if let Some(waiting) = lock(&shared.gathering).pop_front() {
                        let _ = waiting.send(text);
                    }
                }
                INVALIDATES => {
                    if let Some(obeying) = &*lock(&shared.obeying) {
                        obeying(&text);
                    }
                }
                _ => {}
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{framed, Messages, ASKS, LIVES, TELLS};

    #[test]
    fn messages_are_whole_however_they_come() {
        let mut sent = vec![LIVES];
        sent.extend(framed(TELLS, "1{}\na 1\n"));
        sent.extend([ASKS]);
        sent.extend(framed(TELLS, ""));
        let wanted: Vec<(u8, String)> = [(LIVES, ""), (TELLS, "1{}\na 1\n"), (ASKS, ""), (TELLS, "")]
            .map(|(k, t)| (k, t.to_owned()))
            .into();
        for size in 1..=sent.len() {
            let mut messages = Messages::default();
            let mut got = Vec::new();
            for part in sent.chunks(size) {
                messages.push(part);
                got.extend(std::iter::from_fn(|| messages.next()));
            }
            assert_eq!(got, wanted, "{size}");
        }
    }
}
