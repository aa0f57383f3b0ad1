//! `init` and `retire`: on threads of their own, because either may take its time, and one generation at a time for each
//! library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::{Duration, Instant};

use bimetal_abi::RESULT_OK;
use parking_lot::{Condvar, Mutex};

use crate::plugin::{Plugin, RetireFn, State};
use crate::{Error, ErrorKind, PluginInfo};

/// Whose turn it is: a library's `init` waits until the `retire` of its generation before has returned.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<Place>);

#[derive(Default)]
struct Place {
    taken: Mutex<bool>,
    free: Condvar,
}

impl Turn {
    fn take(&self) {
        let mut taken = self.0.taken.lock();
        while *taken {
            self.0.free.wait(&mut taken);
        }
        *taken = true;
    }

    /// The generation that has taken it is no more.
    pub(crate) fn give(&self) {
        *self.0.taken.lock() = false;
        self.0.free.notify_one();
    }
}

/// How a generation has ended, for whoever waits for it.
#[derive(Default)]
pub(crate) struct Ended {
    outcome: Mutex<Option<Outcome>>,
    known: Condvar,
    /// The one that runs `retire`; locked until it is known.
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its `retire` has returned, or it has none.
    Retired,
    /// Its `retire` panicked, or could not be called.
    Failed,
}

impl Ended {
    pub(crate) fn tell(&self, outcome: Outcome) {
        *self.outcome.lock() = Some(outcome);
        self.known.notify_all();
    }

    /// The outcome, if there is one by then. The thread that gave it has ended, too.
    pub(crate) fn wait_until(&self, deadline: Instant) -> Option<Outcome> {
        let mut outcome = self.outcome.lock();
        while outcome.is_none() {
            if self.known.wait_until(&mut outcome, deadline).timed_out() {
                break;
            }
        }
        let known = *outcome;
        drop(outcome);
        if known.is_some() {
            // It has nothing left to do but to end.
            if let Some(thread) = self.thread.lock().take() {
                let _ = thread.join();
            }
        }
        known
    }
}

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
            turn.take();
            begun.store(true, Ordering::Relaxed);
            let result = plugin.init(config.as_deref(), &turn);
            if result.is_err() {
                turn.give();
            }
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
pub(crate) fn retire(plugin: &PluginInfo, retire: RetireFn, state: State, turn: Turn, ended: Arc<Ended>) {
    let (name, version, source) = (plugin.name.clone(), plugin.version.clone(), plugin.source.clone());
    let told = Arc::clone(&ended);
    let run = move || {
        // The whole of it, or the closure takes the pointer alone, which may not change threads.
        let state = state;
        // SAFETY: the checked plugin's function with the state its `init` made; called once, when the last handle of the
        // generation is gone, and with it every call, future and body.
        let outcome = match unsafe { retire(state.0) } {
            RESULT_OK => Outcome::Retired,
            _ => Outcome::Failed,
        };
        match outcome {
            // Nobody has asked for it.
            Outcome::Retired if source == "builtin" => {}
            Outcome::Retired => {
                tracing::info!(plugin = name, version, source, "plugin generation is retired");
            }
            Outcome::Failed => {
                tracing::error!(plugin = name, version, source, "plugin generation panicked in its `retire`");
            }
        }
        turn.give();
        told.tell(outcome);
    };
    let mut thread = ended.thread.lock();
    match thread::Builder::new().name("bimetal-retire".to_owned()).spawn(run) {
        Ok(started) => *thread = Some(started),
        Err(error) => {
            tracing::error!(
                plugin = plugin.name,
                version = plugin.version,
                "no thread can be started to retire a plugin generation ({error}): it keeps what it holds"
            );
            ended.tell(Outcome::Failed);
        }
    }
}
