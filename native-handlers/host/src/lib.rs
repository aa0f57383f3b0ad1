//! Loads, checks and calls native handlers, from whichever of the three places they come: built in, linked statically,
//! or loaded from a plugin library.
//!
//! A [`Host`] knows handlers by name. [`Host::bind`] ties one to a route and gives a
//! [`bimetal_runtime::Handler`] for the route table:
//!
//! ```
//! use bimetal_host::{Host, Readiness};
//!
//! let host = Host::new();
//! let error = host.bind("hot.get_user", &["user_id".to_owned()], &Readiness::default()).unwrap_err();
//! assert!(error.to_string().starts_with("native handler `hot.get_user` is unknown"));
//! ```
//!
//! | module | its one job |
//! |---|---|
//! | `host` | which handlers there are, and binding them to routes |
//! | `loader` | from a path to a library in memory: file checks, staging, `dlopen` (the only one) |
//! | `plugin` | from a table to a checked plugin: handshake, metadata, `init` |
//! | `lifecycle` | `init` and `retire`: on threads of their own, one at a time for each library |
//! | `process` | the plugins this process has loaded; each once |
//! | `registry` | the handlers of one host by name |
//! | `reload` | from libraries that have changed to a new generation of handlers |
//! | `metrics` | the metrics that plugins have registered |
//! | `call` | calling a handler: request views, lent buffers, futures, streams, the blocking pool; and what a handler calls |
//!
//! Everything a plugin says is checked before it is believed, as far as that can be done from outside: a library that
//! breaks the rules of [`bimetal_abi`] in memory cannot be contained.

mod call;
mod error;
mod host;
mod lifecycle;
mod loader;
mod metrics;
mod plugin;
mod process;
mod readiness;
mod registry;
mod reload;

pub use bimetal_runtime::lane::{PoolConfig, PoolDemand};
pub use call::{NativeHandler, DEFAULT_DEADLINE};
pub use error::{Error, ErrorKind};
pub use host::{Host, HostStats, LoadPolicy};
pub use loader::check;
pub use plugin::{HandlerInfo, HandlerKind, PluginInfo};
pub use readiness::{Readiness, ServerState};
pub use reload::{Change, Reload};

/// Major and minor version of the plugin ABI this host speaks.
pub const ABI_VERSION: (u32, u32) = (bimetal_abi::ABI_MAJOR, bimetal_abi::ABI_MINOR);
