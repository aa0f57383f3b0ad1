//! How often the faults of one handler are logged: a handler that fails at every request must not fill a disk.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines within one window.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Counts the lines about one handler.
#[derive(Default)]
pub(crate) struct LogLimit(Mutex<Window>);

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    withheld: u64,
}

impl LogLimit {
    /// Whether a line may be written: then, how many were withheld since the last one.
    pub(crate) fn allows(&self) -> Option<u64> {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock();
        if window.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines == LINES {
            window.withheld += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.withheld))
    }
}

/// What a line says about those that were withheld.
pub(super) fn withheld(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!(" ({count} further faults of this handler were not logged before)"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{LogLimit, LINES, WINDOW};

    #[test]
    fn a_window_has_so_many_lines_and_the_next_one_tells_of_the_rest() {
        let (limit, began) = (LogLimit::default(), Instant::now());
        for _ in 0..LINES {
            assert_eq!(limit.allows_at(began), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(limit.allows_at(began + WINDOW / 2), None);
        }
        assert_eq!(limit.allows_at(began + WINDOW), Some(7));
        assert_eq!(limit.allows_at(began + WINDOW), Some(0));
    }
}
