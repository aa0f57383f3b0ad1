//! `plugin!`: what makes the handlers of a crate a plugin.

use std::fmt::Display;

use bimetal_abi::{BmHost, BmInit, BmSlice};
use serde::de::DeserializeOwned;

use crate::describe::StateType;
use crate::entry;
use crate::request::AnyState;

/// Runs a plugin's `init` with the configuration read from JSON. Without a configuration it is read from `{}`, and where
/// that does not do, from `null`.
pub fn run_init<C, S, E>(init: impl FnOnce(C) -> Result<S, E>, config: &str) -> Result<AnyState, String>
where
    C: DeserializeOwned,
    S: Send + Sync + 'static,
    E: Display,
{
    let config = if config.trim().is_empty() {
        sonic_rs::from_str("{}").or_else(|error| {
            sonic_rs::from_str("null")
                .map_err(|_| format!("no config was given, and it needs one: {}", reason(&error)))
        })?
    } else {
        sonic_rs::from_str(config).map_err(|error| format!("the config does not fit: {}", reason(&error)))?
    };
    match init(config) {
        Ok(state) => Ok(Box::new(state)),
        Err(error) => Err(error.to_string()),
    }
}

/// The first line without the place, which is in a text the user may never have seen.
fn reason(error: &sonic_rs::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The type of the state that `init` makes.
pub fn state_type_of<C, S: 'static, E>(_init: impl FnOnce(C) -> Result<S, E>) -> StateType {
    StateType::of::<S>()
}

/// `BmPlugin::init` around a plugin's own.
///
/// # Safety
///
/// Called by the host with what the ABI says.
pub unsafe fn enter_init(
    run: fn(&str) -> Result<AnyState, String>,
    host: *const BmHost,
    config: BmSlice,
    out: *mut BmInit,
) -> u32 {
    // SAFETY: the same contract.
    unsafe { entry::init(run, host, config, out) }
}

/// The `init` of a plugin without one.
pub fn no_init(_config: Option<serde::de::IgnoredAny>) -> Result<(), String> {
    Ok(())
}

/// Declares the plugin that the `#[native_handler]`s of this crate belong to; once a crate, anywhere in it.
///
/// - `name`: the plugin's name; its handlers are called `name.function`.
/// - `init` (optional): a function `fn(Config) -> Result<State, E>` that runs before the first request. `Config` is read from
///   the JSON given where the plugin is loaded (`{}` if there is none), `State` is what `State<T>` extractors clone, and an
///   error stops the start with its text.
/// - `prefix` (optional, between the two): what comes before the functions' names instead of the plugin's name and a dot.
///
/// ```
/// use bimetal::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Config {
///     #[serde(default)]
///     greeting: String,
/// }
///
/// #[derive(Clone)]
/// struct Greeter(std::sync::Arc<str>);
///
/// impl Greeter {
///     fn from_config(config: Config) -> Result<Greeter, String> {
///         Ok(Greeter(config.greeting.into()))
///     }
/// }
///
/// #[native_handler]
/// fn greet(State(greeter): State<Greeter>) -> String {
///     greeter.0.to_string()
/// }
///
/// bimetal::plugin! { name: "hot", init: Greeter::from_config }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! plugin {
    (name: $name:literal $(, prefix: $prefix:literal)? $(,)?) => {
        $crate::__plugin!($name, $crate::__private::no_init, $($prefix)?);
    };
    (name: $name:literal $(, prefix: $prefix:literal)?, init: $init:expr $(,)?) => {
        $crate::__plugin!($name, $init, $($prefix)?);
    };
    ($($other:tt)*) => {
        compile_error!("write `bimetal::plugin! { name: \"hot\" }` or `bimetal::plugin! { name: \"hot\", init: Db::from_config }`");
    };
}

/// The expansion of [`plugin!`]. Items are not hygienic, hence the names.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($name:literal, $init:expr, $($prefix:literal)?) => {
        const _: () = {
            fn __bimetal_run(config: &str) -> ::core::result::Result<$crate::__private::AnyState, ::std::string::String> {
                $crate::__private::run_init($init, config)
            }

            fn __bimetal_state() -> $crate::__private::StateType {
                $crate::__private::state_type_of($init)
            }

            unsafe extern "C" fn __bimetal_init(
                host: *const $crate::__private::BmHost,
                config: $crate::__private::BmSlice,
                out: *mut $crate::__private::BmInit,
            ) -> u32 {
                // SAFETY: the host calls this with what the ABI says.
                unsafe { $crate::__private::enter_init(__bimetal_run, host, config, out) }
            }

            #[allow(unused_mut, unused_assignments, non_upper_case_globals)]
            const __BIMETAL_PREFIX: ::core::option::Option<&str> = {
                let mut prefix = ::core::option::Option::None;
                $(prefix = ::core::option::Option::Some($prefix);)?
                prefix
            };

            $crate::__private::inventory::submit! {
                $crate::__private::PluginEntry {
                    module: ::core::module_path!(),
                    name: $name,
                    prefix: __BIMETAL_PREFIX,
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    state: __bimetal_state,
                    init: __bimetal_init,
                }
            }
        };

        $crate::__export!();
    };
}

/// The exported symbol. A program into which plugins are linked can have it once at most, so there it is left out.
#[doc(hidden)]
#[cfg(not(feature = "static"))]
#[macro_export]
macro_rules! __export {
    () => {
        const _: () = {
            #[unsafe(no_mangle)]
            pub extern "C" fn bimetal_plugin_v1() -> *const $crate::__private::BmPlugin {
                $crate::__private::exported_table(::core::module_path!())
            }
        };
    };
}

/// Nothing: this program links its plugins.
#[doc(hidden)]
#[cfg(feature = "static")]
#[macro_export]
macro_rules! __export {
    () => {};
}
