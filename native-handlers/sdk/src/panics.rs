//! What a panic says, in the server's log in place of standard error, and not without an end.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::host;

/// Messages within one window.
const MESSAGES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

struct Window {
    began: Option<Instant>,
    messages: u32,
    withheld: u64,
}

static LAST: Mutex<Window> = Mutex::new(Window { began: None, messages: 0, withheld: 0 });

/// Has the messages of this library's panics logged from now on. Only for a library: it has a hook of its own, where a program
/// has one for all that is linked into it.
pub(crate) fn log_from_now_on() {
    static ONCE: Once = Once::new();
    if cfg!(feature = "static") {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if host::table().and_then(|host| host.log).is_none() {
                return before(info);
            }
            let Some(withheld) = allowed(Instant::now()) else { return };
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let mut message = format!("panicked at {place}: {}", text.unwrap_or("(no message)"));
            if withheld > 0 {
                message.push_str(&format!(" ({withheld} further panics were not logged before)"));
            }
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                message.push_str(&format!("\n{backtrace}"));
            }
            crate::log::error(message);
        }));
    });
}

/// Whether a message may be written: then, how many were withheld since the last one.
fn allowed(now: Instant) -> Option<u64> {
    let mut window = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if window.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
        window.began = Some(now);
        window.messages = 0;
    }
    if window.messages == MESSAGES {
        window.withheld += 1;
        return None;
    }
    window.messages += 1;
    Some(std::mem::take(&mut window.withheld))
}
