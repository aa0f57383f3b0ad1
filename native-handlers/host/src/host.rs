//! Which handlers there are, and binding them to routes.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bimetal_abi::BmPlugin;
use bimetal_runtime::lane::{Pool, PoolConfig, PoolDemand};
use bimetal_runtime::ServerHandle;
use parking_lot::{Mutex, RwLock};

use crate::call::{metrics_text, Bound, NativeHandler, DEFAULT_DEADLINE};
use crate::lifecycle::{Ended, Outcome};
use crate::plugin::{HandlerInfo, Held, Plugin};
use crate::registry::{Library, Registry};
use crate::{loader, process, Error, ErrorKind, PluginInfo, Readiness};

/// The native handlers routes can be bound to. Clones share; servers may share one or have one each.
///
/// Handlers that are bound already keep working when the host is dropped; `blocking` ones then answer 503.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

struct Shared {
    registry: RwLock<Registry>,
    policy: RwLock<LoadPolicy>,
    counters: Arc<Counters>,
    pool: Arc<Pool>,
    /// Generations that were among its handlers, and may not be retired yet.
    leaving: Mutex<Vec<Leaving>>,
}

/// A generation that a host has given up.
struct Leaving {
    info: PluginInfo,
    generation: Weak<Plugin>,
    ended: Arc<Ended>,
}

impl Leaving {
    /// Whether it is retired by then, or left to another host. Logs why not.
    fn wait(&self, deadline: Instant, timeout: Duration) -> bool {
        if self.generation.upgrade().is_some_and(|generation| generation.is_held()) {
            return true;
        }
        let PluginInfo { name, version, source, .. } = &self.info;
        match self.ended.wait_until(deadline) {
            Some(Outcome::Retired) => true,
            // Logged by whoever called it.
            Some(Outcome::Failed) => false,
            None => {
                let why = match self.generation.strong_count() {
                    0 => "its `retire` has not returned",
                    _ => "a handler of it is still at work, or a response of it still being sent",
                };
                tracing::warn!(
                    plugin = name,
                    version,
                    source,
                    "plugin `{name}` is not retired after {:.1} s: {why}; what it holds ends with the process",
                    timeout.as_secs_f64()
                );
                false
            }
        }
    }
}

/// What a host demands of the libraries it loads.
#[derive(Clone, Debug)]
pub struct LoadPolicy {
    /// The SHA-256 of each library that may be loaded, in hexadecimal; `None`: any library may.
    pub allowed_sha256: Option<Vec<String>>,
    /// How long a plugin's `init` may take.
    pub init_timeout: Duration,
}

impl Default for LoadPolicy {
    fn default() -> Self {
        LoadPolicy { allowed_sha256: None, init_timeout: Duration::from_secs(30) }
    }
}

/// What went wrong in handlers since the host was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStats {
    /// Handlers that panicked, or whose response streams did.
    pub panics: u64,
    /// Responses that broke the rules of the ABI.
    pub bad_responses: u64,
    /// Requests to `blocking` handlers that found the pool and its queue full.
    pub rejected: u64,
    /// Handlers that had no answer at their deadline.
    pub timeouts: u64,
    /// Response streams that ended with an error.
    pub failed_streams: u64,
}

/// The counters behind [`HostStats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) panics: AtomicU64,
    pub(crate) bad_responses: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) failed_streams: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> HostStats {
        HostStats {
            panics: self.panics.load(Ordering::Relaxed),
            bad_responses: self.bad_responses.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            failed_streams: self.failed_streams.load(Ordering::Relaxed),
        }
    }
}

impl Host {
    /// A host without handlers and with a blocking pool of the default size. No thread is started before one is needed.
    pub fn new() -> Host {
        Host::with_pool(PoolConfig::default())
    }

    /// A host whose `blocking` handlers run on a pool of the given size.
    pub fn with_pool(config: PoolConfig) -> Host {
        let shared = Shared {
            registry: RwLock::default(),
            policy: RwLock::default(),
            counters: Arc::default(),
            pool: Arc::new(Pool::new("bimetal-blocking", config)),
            leaving: Mutex::default(),
        };
        Host { shared: Arc::new(shared) }
    }

    /// What is demanded of libraries from now on.
    pub fn set_policy(&self, policy: LoadPolicy) {
        *self.shared.policy.write() = policy;
    }

    pub(crate) fn policy(&self) -> LoadPolicy {
        self.shared.policy.read().clone()
    }

    /// Adds the handlers of a plugin that is linked into this program (`bimetal::registry::plugins` collects them).
    ///
    /// Its `init` runs without a configuration, for the first host of the process that has it. Gives the plugin's handlers.
    pub fn register_static(&self, plugin: &'static BmPlugin) -> Result<Vec<HandlerInfo>, Error> {
        let plugin = process::link(plugin, self.policy().init_timeout)?;
        self.shared.registry.write().add_linked(Arc::clone(&plugin))?;
        Ok(plugin.info.handlers.clone())
    }

    /// Loads the plugin library at `path` and adds its handlers; `config_json` goes to its `init`.
    ///
    /// A library is loaded once a process: loading the same bytes again, for another server or under another path, gives
    /// the handlers of the first, provided the configuration is the same. No code is ever unloaded, but a generation that a
    /// [reload](Host::prepare_reload) has replaced is retired.
    pub fn load(&self, path: &Path, config_json: Option<&str>) -> Result<Vec<HandlerInfo>, Error> {
        let policy = self.policy();
        let file = loader::read(path)?;
        file.check_allowed(&policy)?;
        let plugin = process::load(&file, config_json, policy.init_timeout)?;
        let config_json = config_json.map(str::to_owned);
        let library = Library { path: path.to_owned(), config_json, plugin: Held::new(Arc::clone(&plugin)) };
        self.shared.registry.write().add_library(library)?;
        Ok(plugin.info.handlers.clone())
    }

    /// Every handler, sorted by name.
    pub fn handlers(&self) -> Vec<HandlerInfo> {
        self.shared.registry.read().handlers()
    }

    pub(crate) fn registry(&self) -> Registry {
        self.shared.registry.read().clone()
    }

    /// Replaces the handlers. The generations that are no longer among them are retired when nothing uses them.
    pub(crate) fn replace(&self, registry: Registry) {
        let old = std::mem::replace(&mut *self.shared.registry.write(), registry);
        let mut leaving = self.shared.leaving.lock();
        // What has ended, and was noted before.
        leaving.retain(|left| {
            left.generation.strong_count() > 0 || left.ended.wait_until(Instant::now()).is_none()
        });
        for held in old.held() {
            if !leaving.iter().any(|left| Arc::ptr_eq(&left.ended, &held.ended)) {
                let (info, generation) = (held.info.clone(), Arc::downgrade(held));
                leaving.push(Leaving { info, generation, ended: Arc::clone(&held.ended) });
            }
        }
    }

    /// Gives up every plugin, and waits until they are retired, at most `timeout`: what a server does last. Those that another
    /// host has are left to it. Returns whether all others are retired; which are not, and why, is logged. The host can load
    /// plugins again afterwards, whose `init` is then called anew.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bimetal_host::Host;
    ///
    /// let host = Host::new();
    /// for plugin in bimetal_builtin::plugins()? {
    ///     host.register_static(plugin)?;
    /// }
    /// assert!(host.retire(Duration::from_secs(30)));
    /// assert!(host.handlers().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retire(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.replace(Registry::default());
        let leaving = std::mem::take(&mut *self.shared.leaving.lock());
        leaving.into_iter().fold(true, |all, one| one.wait(deadline, timeout) & all)
    }

    /// Every plugin, sorted by name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.shared.registry.read().plugins()
    }

    /// What went wrong in handlers so far.
    pub fn stats(&self) -> HostStats {
        self.shared.counters.stats()
    }

    /// What the threads for `blocking` handlers have to do.
    pub fn pool_demand(&self) -> PoolDemand {
        self.shared.pool.demand()
    }

    /// What `server` and its native handlers count, then the metrics of plugins, in Prometheus' text format.
    pub fn metrics(&self, server: &ServerHandle) -> String {
        metrics_text(Some(server), self.stats())
    }

    /// Ties the handler `name` to a route whose path names `path_params`, in that order, served by the server whose state
    /// `readiness` tells.
    ///
    /// An unknown name is an error of kind [`ErrorKind::UnknownHandler`] that lists the nearest names; a parameter the
    /// handler wants and the path lacks is one of kind [`ErrorKind::Parameters`] that lists both.
    pub fn bind(
        &self,
        name: &str,
        path_params: &[String],
        readiness: &Readiness,
    ) -> Result<NativeHandler, Error> {
        self.bind_in(&self.shared.registry.read(), name, path_params, readiness)
    }

    pub(crate) fn bind_in(
        &self,
        registry: &Registry,
        name: &str,
        path_params: &[String],
        readiness: &Readiness,
    ) -> Result<NativeHandler, Error> {
        let Some(entry) = registry.get(name) else {
            return Err(unknown(name, registry.names()));
        };
        let handler = entry.handler();
        let mut order = Vec::with_capacity(handler.params.len());
        for wanted in &handler.params {
            match path_params.iter().position(|given| given == wanted) {
                Some(index) => order.push(index),
                None => return Err(lacking(name, &handler.params, path_params)),
            }
        }
        Ok(NativeHandler::new(Bound {
            plugin: Arc::clone(&entry.plugin),
            index: entry.index,
            order: order.into(),
            readiness: readiness.clone(),
            server: None,
            route: None,
            status: 200,
            deadline: DEFAULT_DEADLINE,
            counters: Arc::clone(&self.shared.counters),
            pool: Arc::clone(&self.shared.pool),
        }))
    }
}

impl Default for Host {
    fn default() -> Self {
        Host::new()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.close();
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let nearest = nearest(name, &known);
    let hint = if !nearest.is_empty() {
        format!("did you mean {}?", quoted(&nearest))
    } else if known.is_empty() {
        "no plugin is loaded".to_owned()
    } else {
        format!("there are {}", quoted(&known))
    };
    Error::new(ErrorKind::UnknownHandler, format!("native handler `{name}` is unknown: {hint}"))
}

fn lacking(name: &str, wanted: &[String], given: &[String]) -> Error {
    let given = if given.is_empty() { "names none".to_owned() } else { format!("names {}", quoted(given)) };
    Error::new(
        ErrorKind::Parameters,
        format!(
            "native handler `{name}` wants path parameters {}, the route's path {given}: give them the same names",
            quoted(wanted)
        ),
    )
}

/// The known names that are likely to be meant, best first, at most three.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let mut ranked: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|candidate| {
            let distance = if last(candidate) == last(name) { 0 } else { edit_distance(name, candidate) };
            (distance <= name.len().max(3) / 3).then_some((distance, *candidate))
        })
        .collect();
    ranked.sort();
    ranked.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// Levenshtein's distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{edit_distance, lacking, unknown};

    #[test]
    fn edit_distance_counts_single_changes() {
        for (a, b, distance) in
            [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("x", "x", 0)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_nearest_ones() {
        let known = ["health", "hot.get_user", "hot.ping", "readyz"];
        let text = |name: &str| unknown(name, known.into_iter()).to_string();
        assert_eq!(text("helth"), "native handler `helth` is unknown: did you mean `health`?");
        assert_eq!(text("cold.ping"), "native handler `cold.ping` is unknown: did you mean `hot.ping`?");
        assert_eq!(
            text("zzzzzz"),
            "native handler `zzzzzz` is unknown: there are `health`, `hot.get_user`, `hot.ping`, `readyz`"
        );
    }

    #[test]
    fn a_lacking_parameter_names_both_sides() {
        let error = lacking("hot.get_user", &["user_id".into()], &["id".into()]);
        assert_eq!(
            error.to_string(),
            "native handler `hot.get_user` wants path parameters `user_id`, the route's path names `id`: give them the \
             same names"
        );
    }
}
