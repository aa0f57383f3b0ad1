//! Versions, capabilities and results: the numbers both sides must agree on.

/// First eight bytes of a [`BmPlugin`](crate::BmPlugin): "BIMETAL" and a zero, read as a little-endian integer.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BIMETAL\0");

/// Must be equal on both sides; it is part of the name of the exported symbol.
pub const ABI_MAJOR: u32 = 1;

/// Grows when fields or functions are appended.
pub const ABI_MINOR: u32 = 1;

/// The one symbol a plugin exports, of type [`PluginEntry`](crate::PluginEntry).
pub const SYMBOL: &str = "bimetal_plugin_v1";

/// What the symbol of every major version starts with, for a host that wants to say which version a library has.
pub const SYMBOL_PREFIX: &str = "bimetal_plugin_v";

/// The host can look up request headers.
pub const CAP_HEADERS: u64 = 1 << 0;
/// The host can enlarge a leased response buffer.
pub const CAP_RESPONSE_GROW: u64 = 1 << 1;
/// The host takes log lines.
pub const CAP_LOG: u64 = 1 << 2;
/// The host can poll futures and be woken.
pub const CAP_WAKER: u64 = 1 << 3;
/// The host can say whether the server is starting, ready or draining.
pub const CAP_SERVER_STATE: u64 = 1 << 4;
/// The host tells deadlines, and the time (`now_ns`). Since 1.1.
pub const CAP_DEADLINE: u64 = 1 << 5;
/// The host runs jobs on its pool (`spawn_blocking`, and the functions of tasks). Since 1.1.
pub const CAP_SPAWN_BLOCKING: u64 = 1 << 6;
/// The host calls routes of its server (`call_route`, and the functions of tasks). Since 1.1.
pub const CAP_CALL_ROUTE: u64 = 1 << 7;
/// The host keeps metrics (`metric_register` and what follows it). Since 1.1.
pub const CAP_METRICS: u64 = 1 << 8;
/// The host takes responses of kind [`RESPONSE_STREAM`](crate::RESPONSE_STREAM). Since 1.1; what the host takes, and not a
/// function it has, is counted from bit 16 on.
pub const CAP_RESPONSE_STREAM: u64 = 1 << 16;

/// Every capability of this version with its name, for messages.
pub const CAPABILITIES: [(u64, &str); 10] = [
    (CAP_HEADERS, "headers"),
    (CAP_RESPONSE_GROW, "response_grow"),
    (CAP_LOG, "log"),
    (CAP_WAKER, "waker"),
    (CAP_SERVER_STATE, "server_state"),
    (CAP_DEADLINE, "deadline"),
    (CAP_SPAWN_BLOCKING, "spawn_blocking"),
    (CAP_CALL_ROUTE, "call_route"),
    (CAP_METRICS, "metrics"),
    (CAP_RESPONSE_STREAM, "response_stream"),
];

/// Done.
pub const RESULT_OK: u32 = 0;
/// The callee panicked, and caught it: outputs are not to be read.
pub const RESULT_PANIC: u32 = 1;
/// Not done yet: the waker will be woken.
pub const RESULT_PENDING: u32 = 2;
/// Not possible; `init` says why in [`BmInit::error`](crate::BmInit::error), a stream in [`BmChunk::bytes`](crate::BmChunk::bytes).
pub const RESULT_FAILED: u32 = 3;
/// There is no such header, or no further chunk.
pub const RESULT_ABSENT: u32 = 4;
