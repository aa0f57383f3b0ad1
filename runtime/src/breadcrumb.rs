//! What each thread is calling, where it can still be read when the process has been ended by a signal.
//!
//! A worker process shares a piece of memory with its supervisor. Each thread that calls handlers has a [`Place`] of its own there, and
//! writes into it the number of the route before the call, and 0 after it: a plain store. What the numbers mean stands in the same
//! file. A process without a supervisor has no such memory, and leaves nothing.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Threads that have a place; the calls of further ones are not recorded.
pub const PLACES: usize = 2048;

/// The size of all places, with which the shared memory begins. The texts follow.
pub const PLACES_SIZE: usize = PLACES * size_of::<Place>();

/// The size of all texts; what comes when they are full has no number.
const TEXTS_SIZE: usize = 1 << 20;

/// What a thread without a name is: the one thread that calls handlers and is not started by us.
const UNNAMED: &str = "the event loop";

/// Where one thread writes what it is calling. A cache line, so that no thread waits for another one's.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Place {
    what: AtomicU32,
    thread: AtomicU32,
}

/// What can be called, by its number; [`Breadcrumb::default`] is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breadcrumb(u32);

/// The memory of this process.
struct Memory {
    file: File,
    places: &'static [Place],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: HashMap<String, u32>,
    written: usize,
    /// Places that no thread has, and that one has had.
    vacant: Vec<usize>,
    /// Those after them have never been taken.
    taken: usize,
}

static MEMORY: OnceLock<Memory> = OnceLock::new();

thread_local! {
    static MINE: OnceCell<Taken> = const { OnceCell::new() };
}

/// A thread's place, given back when the thread ends.
struct Taken {
    memory: &'static Memory,
    index: usize,
}

/// Leaves breadcrumbs from now on: `places` is the beginning of `file`, which a supervisor reads by [`left_in`]. Once in a process.
pub fn install(file: File, places: &'static [Place]) {
    // A second one would leave the first one's threads where nobody looks.
    let _ = MEMORY.set(Memory { file, places, state: Mutex::default() });
}

/// The place of this thread, if the process leaves breadcrumbs.
pub(crate) fn place() -> Option<&'static Place> {
    let memory = MEMORY.get()?;
    MINE.try_with(|mine| {
        if mine.get().is_none() {
            let _ = mine.set(memory.take()?);
        }
        mine.get().map(|taken| &taken.memory.places[taken.index])
    })
    .ok()
    .flatten()
}

impl Breadcrumb {
    /// The number of what `text` says; nothing where the process leaves no breadcrumbs.
    pub fn named(text: &str) -> Breadcrumb {
        Breadcrumb(MEMORY.get().map_or(0, |memory| memory.number(text)))
    }

    /// What this thread is calling.
    pub fn current() -> Breadcrumb {
        let what = MINE.try_with(|mine| {
            mine.get().map(|taken| taken.memory.places[taken.index].what.load(Ordering::Relaxed))
        });
        Breadcrumb(what.ok().flatten().unwrap_or_default())
    }

    /// Does `work`, which this is about, on this thread.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        /// Also after a panic.
        struct Back(&'static Place, u32);
        impl Drop for Back {
            fn drop(&mut self) {
                self.0.what.store(self.1, Ordering::Relaxed);
            }
        }
        let place = if self == Breadcrumb::default() { None } else { place() };
        let _back = place.map(|place| Back(place, place.what.swap(self.0, Ordering::Relaxed)));
        work()
    }
}

impl Place {
    /// The thread, whose place this is, calls `breadcrumb` until the step is dropped. Others are not called meanwhile.
    #[inline]
    pub(crate) fn step(&'static self, breadcrumb: Breadcrumb) -> Step {
        // No other thread needs to see it in time: it is read when there are no threads any more.
        self.what.store(breadcrumb.0, Ordering::Relaxed);
        Step(self)
    }
}

/// A call on a thread that makes one at a time.
#[derive(Debug)]
pub(crate) struct Step(&'static Place);

impl Drop for Step {
    #[inline]
    fn drop(&mut self) {
        self.0.what.store(0, Ordering::Relaxed);
    }
}

impl Memory {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a text: that of its line, from 1.
    fn number(&self, text: &str) -> u32 {
        let mut state = self.state();
        if let Some(number) = state.numbers.get(text) {
            return *number;
        }
        let line = format!("{}\n", text.replace('\n', " "));
        let number = u32::try_from(state.numbers.len() + 1).unwrap_or_default();
        let offset = (PLACES_SIZE + state.written) as u64;
        if state.written + line.len() > TEXTS_SIZE || self.file.write_all_at(line.as_bytes(), offset).is_err()
        {
            return 0;
        }
        state.written += line.len();
        state.numbers.insert(text.to_owned(), number);
        number
    }

    fn take(&'static self) -> Option<Taken> {
        let thread = thread::current();
        // Without its number: threads come and go, and their names must not fill the file.
        let name = thread.name().unwrap_or(UNNAMED).trim_end_matches(|end: char| end.is_ascii_digit());
        let name = self.number(name.trim_end_matches('-'));
        let mut state = self.state();
        let index = state.vacant.pop().or_else(|| {
            state.taken += 1;
            (state.taken <= self.places.len()).then(|| state.taken - 1)
        })?;
        self.places[index].thread.store(name, Ordering::Relaxed);
        Some(Taken { memory: self, index })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.memory.places[self.index].what.store(0, Ordering::Relaxed);
        self.memory.state().vacant.push(self.index);
    }
}

/// What a process that has ended was calling, and on which thread, as its memory says.
///
/// An error when `file` cannot be read.
pub(crate) fn left_in(file: &File) -> io::Result<Vec<String>> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(PLACES_SIZE + TEXTS_SIZE);
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    let (places, texts) = bytes.split_at(PLACES_SIZE.min(size));
    let texts = String::from_utf8_lossy(texts);
    let lines: Vec<&str> = texts.lines().collect();
    let text = |number: u32| lines.get(usize::try_from(number).ok()?.checked_sub(1)?).copied();
    let word = |bytes: &[u8]| bytes.try_into().map(u32::from_ne_bytes).unwrap_or_default();
    let left = |place: &[u8]| {
        let what = text(word(&place[..4]))?;
        Some(format!("{what} on {}", text(word(&place[4..8])).unwrap_or("a thread")))
    };
    Ok(places.chunks_exact(size_of::<Place>()).filter_map(left).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{remove_file, OpenOptions};
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc;
    use std::thread;

    use super::{install, left_in, place, Breadcrumb, Place, PLACES, PLACES_SIZE};

    /// The places are written to the file by hand: sharing memory needs `unsafe`, which this crate forbids.
    #[test]
    fn what_threads_call_can_be_read() {
        let path = std::env::temp_dir().join(format!("bimetal-breadcrumbs-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        remove_file(&path).unwrap();
        file.set_len(PLACES_SIZE as u64).unwrap();
        let places: &'static [Place] = Box::leak((0..PLACES).map(|_| Place::default()).collect());
        assert_eq!(Breadcrumb::named("too early"), Breadcrumb::default());
        install(file.try_clone().unwrap(), places);
        let read = || {
            for (index, place) in places.iter().enumerate() {
                let word = |number: &std::sync::atomic::AtomicU32| {
                    number.load(std::sync::atomic::Ordering::Relaxed).to_ne_bytes()
                };
                let bytes = [word(&place.what), word(&place.thread)].concat();
                file.write_all_at(&bytes, (index * size_of::<Place>()) as u64).unwrap();
            }
            // Other tests of this process may serve.
            let mut left = left_in(&file).unwrap();
            left.retain(|line| line.contains("/crumb/"));
            left
        };
        let (first, second) = (Breadcrumb::named("GET /crumb/a"), Breadcrumb::named("GET /crumb/b\nor not"));
        assert_eq!(Breadcrumb::named("GET /crumb/a"), first);
        assert_eq!(read(), [""; 0]);

        let (said, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let other = thread::Builder::new().name("other-12".to_owned()).spawn(move || {
            second.during(|| {
                assert_eq!(Breadcrumb::current(), second);
                first.during(|| ());
                said.send(()).unwrap();
                let _ = wait.recv();
            });
            assert_eq!(Breadcrumb::current(), Breadcrumb::default());
        });
        heard.recv().unwrap();
        assert_eq!(read(), ["GET /crumb/b or not on other"]);
        let step = place().unwrap().step(first);
        assert_eq!(Breadcrumb::current(), first);
        let mut all = read();
        all.sort();
        assert!(
            all[0].starts_with("GET /crumb/a on ") && all[1..] == ["GET /crumb/b or not on other"],
            "{all:?}"
        );
        drop((step, go));
        other.unwrap().join().unwrap();
        assert_eq!(read(), [""; 0]);
        // The place of a thread that has ended is another one's.
        for _ in 0..PLACES + 10 {
            assert!(thread::spawn(|| place().is_some()).join().unwrap());
        }
    }
}
