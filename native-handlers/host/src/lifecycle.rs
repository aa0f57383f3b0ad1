//! `init` and `retire`: on threads of their own, because either may take its time, and one at a time for each library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;

use bimetal_abi::RESULT_OK;
use parking_lot::Mutex;

use crate::plugin::{Plugin, RetireFn, State};
use crate::{Error, ErrorKind, PluginInfo};

/// Whose turn it is: a library's `init` waits for the `retire` of its generation before.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

/// Runs the plugin's `init`. One that does not return within `limit` is left behind on its thread; should it return after
/// all, what it made is retired.
pub(crate) fn initialise(
    mut plugin: Plugin,
    config_json: Option<&str>,
    limit: Duration,
    turn: &Turn,
) -> Result<Plugin, Error> {
    let source = plugin.info.source.clone();
    let failed = |text: String| Error::new(ErrorKind::Init, format!("plugin `{source}`: init: {text}"));
    let (sender, receiver) = mpsc::channel();
    let begun = Arc::new(AtomicBool::new(false));
    let run = {
        let (turn, begun, config) = (turn.clone(), Arc::clone(&begun), config_json.map(str::to_owned));
        move || {
            let _guard = turn.0.lock();
            begun.store(true, Ordering::Relaxed);
            let result = plugin.init(config.as_deref(), &turn);
            // Where nobody waits any more, the plugin is dropped, and so retired.
            let _ = sender.send(result.map(|()| plugin));
        }
    };
    let thread = thread::Builder::new()
        .name("bimetal-init".to_owned())
        .spawn(run)
        .map_err(|error| failed(format!("no thread can be started for it ({error}); free some memory")))?;
    match receiver.recv_timeout(limit) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) if begun.load(Ordering::Relaxed) => Err(failed(format!(
            "did not return within {} s; check what it waits for, or allow it more time with `plugin_init_timeout`",
            limit.as_secs_f64()
        ))),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(failed(format!(
            "the library's earlier `init` or `retire` has not returned within {} s, and one runs at a time; check what that \
             waits for, or start the server process anew",
            limit.as_secs_f64()
        ))),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(failed("ended without a result; see standard error".to_owned()))
        }
    }
}

/// Has the plugin's `retire` run. Nothing of this generation is in use any more; whoever noticed that is not kept waiting.
pub(crate) fn retire(plugin: &PluginInfo, retire: RetireFn, state: State, turn: Turn) {
    let (name, version, source) = (plugin.name.clone(), plugin.version.clone(), plugin.source.clone());
    let run = move || {
        // The whole of it, or the closure takes the pointer alone, which may not change threads.
        let state = state;
        let _guard = turn.0.lock();
        // SAFETY: the checked plugin's function with the state its `init` made; called once, when the last handle of the
        // generation is gone, and with it every call, future and body.
        match unsafe { retire(state.0) } {
            RESULT_OK => tracing::info!(plugin = name, version, source, "plugin generation is retired"),
            _ => {
                tracing::error!(plugin = name, version, source, "plugin generation panicked in its `retire`")
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("bimetal-retire".to_owned()).spawn(run) {
        tracing::error!(
            plugin = plugin.name,
            version = plugin.version,
            "no thread can be started to retire a plugin generation ({error}): it keeps what it holds"
        );
    }
}
