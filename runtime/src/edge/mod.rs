//! What every request passes before and after it is routed.

mod access_log;

pub(crate) use access_log::AccessEntry;
