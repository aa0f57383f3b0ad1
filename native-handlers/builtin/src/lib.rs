//! The native handlers that come with Bimetal. Their names have no prefix.
//!
//! | handler | answers |
//! |---|---|
//! | `health`, `livez` | 200 as long as the process serves requests |
//! | `readyz` | 200 when the server takes requests, 503 while it starts and drains |
//! | `startupz` | 200 once the startup of the application has been done, 503 before |
//! | `metrics` | what the server and its plugins count, in the text format of Prometheus |

mod exposition;
mod probes;

pub use bimetal::registry::{plugins, RegistryError};

bimetal::plugin! { name: "builtin", prefix: "" }
