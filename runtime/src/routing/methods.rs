//! The methods of a route as a set of bits.

use crate::http::Method;

/// Some methods. All that have no bit of their own share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Methods(u16);

const OTHERS: Methods = Methods(1 << 9);

impl Methods {
    /// Those that a route of `methods` answers: where it names none, all of them.
    pub(super) fn of(methods: &[Method]) -> Methods {
        if methods.is_empty() {
            return Methods(u16::MAX);
        }
        Methods(methods.iter().fold(0, |bits, method| bits | Methods::one(method).0))
    }

    /// The set of this one, or of all that have no bit of their own.
    #[inline]
    pub(super) fn one(method: &Method) -> Methods {
        Methods(match *method {
            Method::OPTIONS => 1,
            Method::GET => 1 << 1,
            Method::POST => 1 << 2,
            Method::PUT => 1 << 3,
            Method::DELETE => 1 << 4,
            Method::HEAD => 1 << 5,
            Method::TRACE => 1 << 6,
            Method::CONNECT => 1 << 7,
            Method::PATCH => 1 << 8,
            _ => return OTHERS,
        })
    }

    /// Whether the two have a method in common; with [others](Methods::is_others), whether they may.
    #[inline]
    pub(super) fn meets(self, other: Methods) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it stands for all methods that have no bit of their own.
    #[inline]
    pub(super) fn is_others(self) -> bool {
        self == OTHERS
    }
}

#[cfg(test)]
#[path = "methods_tests.rs"]
mod tests;
