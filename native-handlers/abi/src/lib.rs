//! The C ABI between the Bimetal host and a library of native handlers.
//!
//! A plugin exports one function, [`SYMBOL`], of type [`PluginEntry`], that returns a pointer to a [`BmPlugin`]: static
//! data that names the plugin and lists its handlers. Whatever the plugin needs from the host comes to it in a table of
//! functions ([`BmHost`]), so that a plugin has no undefined symbol to resolve. `bimetal.h` beside this crate's manifest
//! is the same in C, and a test compares the two field by field.
//!
//! # Rules
//!
//! - **Versions.** [`ABI_MAJOR`] must be equal on both sides. A minor version only appends fields and functions. Each
//!   table that can grow starts with its `size`: read a field only when it lies within the size the other side wrote.
//!   Handlers lie [`BmPlugin::handler_stride`] bytes apart, which is the plugin's size of a [`BmHandler`].
//! - **Plain integers.** Kinds, flags and results are integers with constants, never Rust enums: an unknown value is a
//!   value like any other and must be refused, not undefined behaviour.
//! - **Panics and exceptions never cross.** Each function a plugin gives the host catches them and returns
//!   [`RESULT_PANIC`]. A plugin built with `panic=abort` cannot, says so in [`BmPlugin::panic_mode`] and is refused.
//! - **Borrowed:** a [`BmSlice`] inside [`BmRequest`] is the host's. It is valid until the call returns, or, for a handler
//!   of kind [`HANDLER_ASYNC`], until the future is dropped.
//! - **Leased:** [`BmResponse::buf`] is the host's, for writing, until the call (or the poll) returns.
//! - **Owned:** what comes with a `release` function belongs to whoever made it. The other side calls `release(owner)`
//!   exactly once, from any thread, and never frees the memory itself: two sides have two allocators.
//! - **Static:** what a plugin calls static must stay valid until the process ends. The host never unloads a plugin.
//! - **Threads.** `call`, `start` and `init` may be called from several threads at once. A [`BmFuture`] stays on the
//!   thread that started it; a [`BmWaker`] may go anywhere.

#![no_std]

mod future;
mod host;
mod layout;
mod plugin;
mod request;
mod response;
mod service;
mod slice;
mod version;

pub use future::{BmFuture, BmWaker, BmWakerVtable};
pub use host::{
    BmHeaderVisitor, BmHost, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_TRACE, LOG_WARN, SERVER_DRAINING,
    SERVER_READY, SERVER_STARTING,
};
pub use plugin::{
    BmHandler, BmInit, BmPlugin, PluginEntry, HANDLER_ASYNC, HANDLER_BLOCKING, HANDLER_KIND_MASK,
    HANDLER_READS_BODY, HANDLER_SYNC, PANIC_ABORT, PANIC_NONE, PANIC_UNWIND,
};
pub use request::BmRequest;
pub use response::{
    BmChunk, BmHeader, BmResponse, RESPONSE_LEASED, RESPONSE_OWNED, RESPONSE_STATIC, RESPONSE_STREAM,
};
pub use service::{
    BmCall, BmJob, BmMetric, BmReply, BmTextVisitor, CALL_CUT_SHORT, CALL_INVALID, CALL_OK, CALL_STOPPED,
    CALL_TIMED_OUT, CALL_TOO_DEEP, CALL_TOO_LARGE, CALL_UPGRADE, METRIC_COUNTER, METRIC_GAUGE,
    METRIC_HISTOGRAM,
};
pub use slice::BmSlice;
pub use version::{
    ABI_MAJOR, ABI_MINOR, CAPABILITIES, CAP_CALL_ROUTE, CAP_DEADLINE, CAP_HEADERS, CAP_LOG, CAP_METRICS,
    CAP_RESPONSE_GROW, CAP_RESPONSE_STREAM, CAP_SERVER_STATE, CAP_SPAWN_BLOCKING, CAP_WAKER, MAGIC,
    RESULT_ABSENT, RESULT_FAILED, RESULT_OK, RESULT_PANIC, RESULT_PENDING, SYMBOL, SYMBOL_PREFIX,
};
