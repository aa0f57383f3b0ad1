//! JSON to and from Python objects, without a tree in between.
//!
//! Both directions do the common case in Rust and leave the rest to the Python code that FastAPI itself would run, so
//! that no odd value can come out differently.

mod dumps;
mod loads;

pub(crate) use dumps::{dumps, dumps_plain};
pub(crate) use loads::{is_pythons_own, loads};
