//! How workers end, in words.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What a worker was calling is named for so many threads at most.
const NAMED: usize = 10;

/// How a worker ended, for messages and for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    BySignal(i32),
    Unknown,
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> End {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, Some(number)) => End::BySignal(number),
            (None, None) => End::Unknown,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Code(code) => write!(f, "ended with exit code {code}"),
            End::BySignal(number) => match name(*number) {
                Some(name) => write!(f, "was ended by {name}"),
                None => write!(f, "was ended by signal {number}"),
            },
            End::Unknown => f.write_str("has ended"),
        }
    }
}

/// The signals that end programs, by the numbers they have on every Unix.
fn name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL (by hand, or by the kernel for want of memory)",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// What a worker was calling when it was ended, as a part of a sentence; nothing where it was calling nothing.
pub(super) fn calling(calls: &[String]) -> String {
    match calls.len().checked_sub(NAMED) {
        _ if calls.is_empty() => String::new(),
        Some(more) if more > 0 => format!(" while calling {} and {more} more", calls[..NAMED].join("; ")),
        _ => format!(" while calling {}", calls.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::calling;

    #[test]
    fn calls_are_named_but_not_all_of_many() {
        assert_eq!(calling(&[]), "");
        let calls: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(calling(&calls[..2]), " while calling 0; 1");
        assert_eq!(calling(&calls[..10]), " while calling 0; 1; 2; 3; 4; 5; 6; 7; 8; 9");
        assert_eq!(calling(&calls), " while calling 0; 1; 2; 3; 4; 5; 6; 7; 8; 9 and 2 more");
    }
}
