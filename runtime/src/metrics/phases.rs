//! Where the time of one request went.

use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::time::Duration;

/// A part of the time that a request spends on its lane. They follow one another and do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the lane's thread.
    Queue,
    /// The lane's thread waiting for the interpreter.
    Interpreter,
    /// The handler, with what belongs to its call.
    Handler,
    /// From the handler's result to bytes.
    Serialise,
}

impl Phase {
    /// Every phase, in the order in which a request passes them.
    pub const ALL: [Phase; 4] = [Phase::Queue, Phase::Interpreter, Phase::Handler, Phase::Serialise];

    /// The name, as a `Server-Timing` field has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queue => "queue",
            Phase::Interpreter => "interpreter",
            Phase::Handler => "handler",
            Phase::Serialise => "serialise",
        }
    }
}

/// How long the phases of a request took, as far as its lane has them.
///
/// ```
/// use std::time::Duration;
/// use bimetal_runtime::metrics::{Phase, Phases};
///
/// let mut phases = Phases::default();
/// phases.set(Phase::Handler, Duration::from_micros(1_500));
/// assert_eq!(phases.server_timing().as_deref(), Some("handler;dur=1.500"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Nanoseconds, and one more.
    nanos: [Option<NonZeroU64>; Phase::ALL.len()],
    /// Of the handler's, how many its thread was on a core, and one more.
    computed: Option<NonZeroU64>,
}

impl Phases {
    /// Notes how long a phase took.
    pub fn set(&mut self, phase: Phase, duration: Duration) {
        self.set_nanos(phase, nanos(duration));
    }

    pub(crate) fn set_nanos(&mut self, phase: Phase, nanos: u64) {
        self.nanos[phase as usize] = NonZeroU64::new(nanos.saturating_add(1));
    }

    /// How long a phase took; `None` where the lane does not have it.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.nanos(phase).map(Duration::from_nanos)
    }

    /// Notes for how much of the handler's time its thread was on a core, where that was measured.
    pub fn set_computed(&mut self, duration: Duration) {
        self.computed = NonZeroU64::new(nanos(duration).saturating_add(1));
    }

    pub(super) fn computed_nanos(&self) -> Option<u64> {
        self.computed.map(|nanos| nanos.get() - 1)
    }

    pub(super) fn nanos(&self, phase: Phase) -> Option<u64> {
        self.nanos[phase as usize].map(|nanos| nanos.get() - 1)
    }

    /// The value of a `Server-Timing` header field, in milliseconds; `None` where no phase is known.
    pub fn server_timing(&self) -> Option<String> {
        let mut text = String::new();
        for phase in Phase::ALL {
            let Some(nanos) = self.nanos(phase) else { continue };
            let micros = nanos / 1_000;
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{};dur={}.{:03}", phase.as_str(), micros / 1_000, micros % 1_000);
        }
        (!text.is_empty()).then_some(text)
    }
}

/// Whole nanoseconds; the longest there are stand for more.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::{Duration, Phase, Phases};

    #[test]
    fn what_was_set_is_there_and_nothing_else() {
        let mut phases = Phases::default();
        assert_eq!((phases, phases.server_timing()), (Phases::default(), None));
        phases.set(Phase::Queue, Duration::ZERO);
        phases.set(Phase::Serialise, Duration::from_nanos(7));
        let got = Phase::ALL.map(|phase| phases.get(phase));
        assert_eq!(got, [Some(Duration::ZERO), None, None, Some(Duration::from_nanos(7))]);
        phases.set(Phase::Handler, Duration::MAX);
        assert!(phases.get(Phase::Handler) > Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn a_header_field_has_milliseconds() {
        let mut phases = Phases::default();
        phases.set(Phase::Serialise, Duration::from_nanos(1_999));
        phases.set(Phase::Queue, Duration::from_micros(12_034_005));
        phases.set(Phase::Interpreter, Duration::ZERO);
        let text = phases.server_timing().unwrap();
        assert_eq!(text, "queue;dur=12034.005, interpreter;dur=0.000, serialise;dur=0.001");
    }
}
