//! One server, as Python sees it: a bound listener, its lanes, its route table.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bimetal_host::{NativeHandler, Readiness, ServerState};
use bimetal_runtime::edge::Edge;
use bimetal_runtime::files::{Disk, DiskLimits};
use bimetal_runtime::http::{Address, Method};
use bimetal_runtime::lane::{Limits, Runners};
use bimetal_runtime::limit::Set;
use bimetal_runtime::probes::{self, Dashboard, Probe, Source};
use bimetal_runtime::{BodyMode, Handler, LaneKind, Route, RouteTable, Running, Server, ServerHandle};
use parking_lot::{Mutex, RwLock};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::oneshot;

use crate::application::Application;
use crate::asgi::handler::AsgiHandler;
use crate::asgi::lifespan;
use crate::asgi::scope::LastAddress;
use crate::awaitable::{pending, Awaitable, Outcome};
use crate::caching::ServerCache;
use crate::edge::EdgeLayer;
use crate::errands;
use crate::errors::{at_route, from_runtime, BimetalError};
use crate::event_loop::{LoopPort, LoopSide};
use crate::exchanges::Exchanges;
use crate::host::Host;
use crate::interpreter;
use crate::lanes::{CompiledHandler, Lanes};
use crate::limits::RateLimits;
use crate::log;
use crate::plan::{path_parameters, Plan};
use crate::reload::{Rebound, Reload};
use crate::settings::{seconds, Settings};
use crate::shadow::{ShadowQueue, ShadowedHandler};
use crate::spans::SpanQueue;
use crate::supervisor::{given, WorkerLink};
use crate::sync_lane::SyncWork;
use crate::vitals::{Asked, Vitals};

/// How long [`Engine::close`] waits for handlers that still run on runner threads.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One server.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Engine {
    state: Mutex<Stage>,
    side: Mutex<Option<Arc<LoopSide>>>,
    lanes: Mutex<Option<Arc<Lanes>>>,
    exchanges: Arc<Exchanges>,
    shadow: Arc<ShadowQueue>,
    cache: ServerCache,
    readiness: Readiness,
    /// For native handlers that call routes of this server.
    handle: ServerHandle,
    /// How many probes come before the application's routes.
    probes: AtomicUsize,
    /// Whether probes are served where the application has no route for them.
    mount: bool,
    /// The same of the page for people.
    mount_dashboard: bool,
    vitals: Arc<Vitals>,
    /// The server of the probes on an address of their own.
    admin: Mutex<Option<Running>>,
    admin_address: Option<std::net::SocketAddr>,
    /// The native routes, by their place among the application's.
    natives: Mutex<Vec<(usize, Plan)>>,
    native_timeout: Duration,
    /// What reads the files it sends.
    disk: Arc<Disk>,
    /// Memory that all workers of the machine have, in a worker process.
    shared: Option<&'static [Set]>,
    local: Address,
    last: Mutex<bimetal_runtime::metrics::Stats>,
}

/// Where the I/O half of the server is in its life.
enum Stage {
    Bound {
        server: Box<Server>,
        table: Option<Arc<RouteTable>>,
    },
    Running(Running),
    /// Draining, on a thread of its own.
    Draining,
    Closed,
}

#[pymethods]
impl Engine {
    /// Binds the address, or takes the socket `fd` or the one that `link` has inherited.
    #[new]
    #[pyo3(signature = (app, *, on_exception = None, link = None, spans = None, **settings))]
    fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        on_exception: Option<Py<PyAny>>,
        link: Option<&Bound<'_, WorkerLink>>,
        spans: Option<&Bound<'_, SpanQueue>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings = match settings {
            Some(settings) => Settings::read(settings)?,
            None => Settings::read(&PyDict::new(py))?,
        };
        let Settings {
            mut config,
            fd,
            root_path,
            sync_threads,
            max_queue,
            max_queue_age,
            native_timeout,
            cache_size,
            ahead,
            probes,
            dashboard,
            admin,
            thresholds,
        } = settings;
        config.spans = spans.and_then(|queue| queue.get().recorder());
        let dropped_spans = config.spans.as_ref().map(|recorder| recorder.dropped());
        let server = match (link, fd) {
            (Some(link), _) => Server::from_listener(config, link.get().listener()?),
            (None, Some(fd)) => Server::from_listener(config, given(fd)?),
            (None, None) => Server::bind(config),
        };
        let server = server.map_err(|error| from_runtime(&error))?;
        let (local, handle) = (server.address().clone(), server.handle());
        let track = on_exception.is_some();
        let application = Arc::new(Application {
            asgi: app,
            state: Mutex::new(None),
            side: Mutex::new(None),
            busy: AtomicUsize::new(0),
            on_runner_start: Mutex::new(None),
            routes: RwLock::new(Arc::from([])),
            key_functions: RwLock::new(Arc::from([])),
            on_exception,
            root_path: root_path.trim_end_matches('/').to_owned(),
            last_peer: LastAddress::default(),
            last_local: LastAddress::default(),
        });
        let limits = Limits {
            max_threads: sync_threads,
            active: active_runners(py)?,
            max_queue,
            max_age: max_queue_age,
            ..Limits::default()
        };
        let port = LoopPort::new(limits.clone())
            .map_err(|error| BimetalError::new_err(format!("cannot make a socket pair: {error}")))?;
        let runners =
            Runners::new("bimetal-sync", limits, SyncWork { application: Arc::clone(&application) })
                .map_err(|error| BimetalError::new_err(format!("cannot start a thread: {error}")))?;
        let exchanges = Arc::new(Exchanges::default());
        let lanes = Lanes {
            port,
            runners,
            application,
            exchanges: Arc::clone(&exchanges),
            track: track.into(),
            websockets: ahead,
        };
        let lanes = Arc::new(lanes);
        let readiness = Readiness::default();
        let shared = link.map(|link| link.get().limits());
        let link = link.map(|link| link.get().link());
        let cache = ServerCache::new(cache_size, link.clone());
        let vitals = Vitals::new(
            readiness.clone(),
            &lanes,
            handle.clone(),
            thresholds,
            link,
            dropped_spans,
            cache.store().cloned(),
        );
        if let Some(link) = &vitals.link {
            let telling = Arc::clone(&vitals);
            link.tell_by(Box::new(move || telling.tell()));
        }
        let admin = admin
            .map(|(host, port)| {
                let source: Arc<dyn Source> = Arc::new(Asked(Arc::clone(&vitals)));
                probes::serve(host, port, &source, dashboard)
            })
            .transpose()
            .map_err(|error| from_runtime(&error))?;
        Ok(Engine {
            state: Mutex::new(Stage::Bound { server: Box::new(server), table: None }),
            side: Mutex::new(None),
            lanes: Mutex::new(Some(lanes)),
            exchanges,
            shadow: Arc::new(ShadowQueue::new()),
            cache,
            readiness,
            handle,
            probes: AtomicUsize::new(0),
            mount: probes,
            // On the address of the probes alone, where there is one.
            mount_dashboard: dashboard && admin.is_none(),
            admin_address: admin.as_ref().map(Running::local_addr),
            admin: Mutex::new(admin),
            vitals,
            natives: Mutex::default(),
            native_timeout,
            disk: Disk::new(DiskLimits::default()),
            shared,
            local,
            last: Mutex::new(bimetal_runtime::metrics::Stats::default()),
        })
    }

    /// The bound address, or the path of the Unix socket.
    #[getter]
    fn host(&self) -> String {
        host_of(&self.local)
    }

    /// The bound port; 0 for a Unix socket.
    #[getter]
    fn port(&self) -> u16 {
        port_of(&self.local)
    }

    /// Whether it is a Unix socket.
    #[getter]
    fn is_unix(&self) -> bool {
        matches!(self.local, Address::Unix(_))
    }

    /// Where the probes are served besides; None where they are not.
    #[getter]
    fn admin(&self) -> Option<(String, u16)> {
        self.admin_address.map(|address| (address.ip().to_string(), address.port()))
    }

    /// Sets the route table, in order, the layers in front of it, the outermost first, and the rate limits of the routes.
    #[pyo3(signature = (plans, natives, edge, limits = None))]
    fn set_routes(
        &self,
        py: Python<'_>,
        plans: &Bound<'_, PyAny>,
        natives: &Bound<'_, Host>,
        edge: Vec<Bound<'_, EdgeLayer>>,
        limits: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let lanes = self.lanes()?;
        self.set_limits(py, limits, &lanes)?;
        let asgi: Arc<dyn Handler> = Arc::new(AsgiHandler { lanes: Arc::clone(&lanes) });
        let whole = |pattern: String, methods: Vec<Method>| Route {
            pattern,
            methods,
            lane: LaneKind::Asgi,
            body: BodyMode::Stream,
            handler: Arc::clone(&asgi),
        };
        let (mut routes, mut compiled, mut natively) = (Vec::new(), Vec::new(), Vec::new());
        let mut cached = Vec::new();
        let mut body_limits = Vec::new();
        for (place, plan) in plans.try_iter()?.enumerate() {
            let plan = Plan::read(&plan?)?;
            body_limits.extend(plan.max_body_size.map(|limit| (place, limit)));
            if let Some(name) = &plan.native {
                let names = path_parameters(&plan.path);
                let handler = natives.get().host.bind(name, &names, &self.readiness);
                let (body, handler, number) = self.native(place, &plan, handler)?;
                cached.extend(number);
                let (body, handler) = self.guard(place, &plan.path, body, handler);
                routes.push(Route {
                    pattern: plan.path.clone(),
                    methods: plan.methods.clone(),
                    lane: plan.lane,
                    body,
                    handler,
                });
                natively.push((place, plan));
            } else if let Some((spec, route)) = plan.compiled {
                let body = spec.body;
                let number = compiled.len();
                compiled.push(route);
                let handler =
                    CompiledHandler { lanes: Arc::clone(&lanes), route: number, spec, lane: plan.lane };
                let (handler, _) = self.cache.around(Arc::new(handler), plan.cache.as_ref(), &self.handle);
                let (body, handler) = self.guard(place, &plan.path, body, handler);
                routes.push(Route {
                    pattern: plan.path,
                    methods: plan.methods,
                    lane: plan.lane,
                    body,
                    handler,
                });
            } else if let Some(files) = plan.files {
                let body = files.body_mode();
                let handler = files.handler(&self.disk, &lanes.application.root_path, Arc::clone(&asgi));
                let (body, handler) = self.guard(place, &plan.path, body, handler);
                routes.push(Route { lane: plan.lane, body, handler, ..whole(plan.path, plan.methods) });
            } else {
                let mut route = whole(plan.path, plan.methods);
                (route.body, route.handler) = self.guard(place, &route.pattern, route.body, route.handler);
                routes.push(route);
            }
        }
        let mounted = self.unclaimed(&routes);
        let ahead = mounted.len();
        self.probes.store(ahead, Ordering::Relaxed);
        routes.splice(..0, mounted);
        *self.vitals.host.lock() = Some(natives.get().host.clone());
        let mut fallback = whole("/{path:path}".to_owned(), Vec::new());
        if let Some(limits) = &*self.vitals.limits.lock() {
            (fallback.body, fallback.handler) =
                limits.guard_fallback(&fallback.pattern, fallback.body, fallback.handler);
        }
        let layers = edge.iter().map(|layer| layer.get().layer()).collect();
        let new = RouteTable::new(routes, Some(fallback))
            .map_err(|error| from_runtime(&error))?
            .with_body_limits(body_limits.into_iter().map(|(place, limit)| (place + ahead, limit)))
            .with_edge(Edge::new(layers, lanes.application.root_path.as_str()));
        match &mut *self.state.lock() {
            Stage::Bound { table, .. } => *table = Some(Arc::new(new)),
            _ => {
                return Err(PyRuntimeError::new_err(
                    "the routes are set before the server accepts connections",
                ))
            }
        }
        let before = std::mem::replace(&mut *lanes.application.routes.write(), compiled.into());
        drop(before);
        *self.natives.lock() = natively;
        self.cache.replaced_by(cached);
        Ok(())
    }

    /// For the page for people: what `bimetal routes --json` says of the routes.
    fn describe_routes(&self, routes: String) {
        self.vitals.serves(routes);
    }

    /// The routes with the handlers of a new generation. Nothing is changed yet.
    fn rebind(&self, reload: &Bound<'_, Reload>) -> PyResult<Rebound> {
        let table = match &*self.state.lock() {
            Stage::Bound { table: Some(table), .. } => Arc::clone(table),
            Stage::Running(running) => running.table(),
            // It serves no further request.
            _ => return Ok(Rebound { table: Mutex::new(None), cached: Mutex::default() }),
        };
        let reload = reload.get().get()?;
        let (mut handlers, mut cached) = (HashMap::new(), Vec::new());
        for (place, plan) in &*self.natives.lock() {
            if let Some(name) = &plan.native {
                let handler = reload.bind(name, &path_parameters(&plan.path), &self.readiness);
                let (body, handler, number) = self.native(*place, plan, handler)?;
                cached.extend(number);
                handlers.insert(*place, self.guard(*place, &plan.path, body, handler));
            }
        }
        let probes = self.probes.load(Ordering::Relaxed);
        let renewed = table
            .with_handlers(|place, _| place.checked_sub(probes).and_then(|place| handlers.remove(&place)));
        Ok(Rebound { table: Mutex::new(Some(Arc::new(renewed))), cached: Mutex::new(cached) })
    }

    /// Serves by these routes from now on, in one step; requests in flight finish on the old ones.
    fn publish(&self, rebound: &Bound<'_, Rebound>) {
        let Some(renewed) = rebound.get().table.lock().take() else { return };
        match &mut *self.state.lock() {
            Stage::Bound { table, .. } => *table = Some(renewed),
            Stage::Running(running) => running.swap(renewed),
            Stage::Draining | Stage::Closed => {}
        }
        self.cache.replaced_by(std::mem::take(&mut *rebound.get().cached.lock()));
    }

    /// Gives the engine its event loop; on the loop's thread.
    #[pyo3(signature = (r#loop, state, on_runner_start = None))]
    fn attach(
        &self,
        py: Python<'_>,
        r#loop: &Bound<'_, PyAny>,
        state: &Bound<'_, PyDict>,
        on_runner_start: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let lanes = self.lanes()?;
        let state = state.clone().unbind();
        let before = (
            lanes.application.state.lock().replace(state),
            std::mem::replace(&mut *lanes.application.on_runner_start.lock(), on_runner_start),
        );
        drop(before);
        let side = LoopSide::new(r#loop, Arc::clone(&lanes.port))?;
        side.listen(py)?;
        lifespan::attached(&side);
        *lanes.application.side.lock() = Some(Arc::clone(&side));
        *self.side.lock() = Some(side);
        Ok(())
    }

    /// Accepts connections from now on.
    fn serve(&self, py: Python<'_>) -> PyResult<()> {
        let stage = std::mem::replace(&mut *self.state.lock(), Stage::Closed);
        let Stage::Bound { server, table: Some(table) } = stage else {
            *self.state.lock() = stage;
            return Err(PyRuntimeError::new_err("serve() comes once, after set_routes()"));
        };
        let running = py.detach(|| server.serve(table)).map_err(|error| from_runtime(&error))?;
        *self.state.lock() = Stage::Running(running);
        self.readiness.set(ServerState::Ready);
        Ok(())
    }

    /// Calls a route of this server without a connection; on the loop's thread. Ends with status, header fields and body.
    #[pyo3(signature = (method, target, headers, body, *, client = None, secure = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn call(
        &self,
        py: Python<'_>,
        method: &str,
        target: String,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
        client: Option<(String, u16)>,
        secure: bool,
    ) -> PyResult<Py<Awaitable>> {
        let errand = errands::errand(method, target, &headers, body, client, secure)?;
        errands::send(py, &self.side()?, &self.handle, errand)
    }

    /// Ends with the next native exchange to be compared with its route's Python body; on the loop's thread.
    fn next_shadowed(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        self.shadow.next(py, &self.side()?, Arc::clone(&self.lanes()?.application))
    }

    /// Stops accepting and waits for requests in flight. True when all of them finished.
    fn drain(&self, py: Python<'_>) -> PyResult<Py<Awaitable>> {
        let side = self.side()?;
        self.readiness.set(ServerState::Draining);
        let stage = std::mem::replace(&mut *self.state.lock(), Stage::Draining);
        let (sender, drained) = oneshot::channel();
        if let Stage::Running(running) = stage {
            *self.last.lock() = running.stats();
            // On a thread of its own: the requests that are waited for need the loop.
            std::thread::Builder::new()
                .name("bimetal-drain".to_owned())
                .spawn(move || {
                    let _ = sender.send(running.stop());
                })
                .map_err(|error| BimetalError::new_err(format!("cannot start a thread: {error}")))?;
        } else {
            *self.state.lock() = stage;
            let _ = sender.send(true);
        }
        pending(py, &side, async move {
            let finished = drained.await.unwrap_or(false);
            Box::new(move |py: Python<'_>| Ok(finished.into_pyobject(py)?.to_owned().into_any().unbind()))
                as Outcome
        })
    }

    /// Requests of which something still runs in Python: background tasks, generators that end after the response.
    fn busy(&self) -> PyResult<usize> {
        Ok(self.lanes()?.application.busy.load(Ordering::Relaxed))
    }

    /// Stops everything that is left and joins every thread. Returns how many cannot be joined, because a handler does not return.
    fn close(&self, py: Python<'_>) -> PyResult<usize> {
        let stage = std::mem::replace(&mut *self.state.lock(), Stage::Closed);
        let lanes = self.lanes.lock().take();
        let side = self.side.lock().take();
        let admin = self.admin.lock().take();
        let stuck = py.detach(|| {
            drop(stage);
            self.disk.close();
            if let Some(link) = &self.vitals.link {
                link.last_words();
            }
            drop(admin);
            let limits = self.vitals.limits.lock().clone();
            if let Some(limits) = limits {
                limits.close();
            }
            log::flush();
            lanes.as_ref().map_or(0, |lanes| lanes.runners.close(CLOSE_TIMEOUT))
        });
        if stuck > 0 {
            tracing::warn!(
                handlers = stuck,
                "handlers are still running on their threads; they end with the process"
            );
        }
        if let Some(lanes) = &lanes {
            lanes.port.close();
            // What holds the application may outlive the server, on a thread that is stuck in a handler.
            lanes.application.let_go();
        }
        // A worker process ends now, and tells the same until then.
        if self.vitals.link.is_none() {
            self.vitals.host.lock().take();
        }
        lifespan::detached();
        if let Some(side) = side {
            side.deafen(py)?;
        }
        Ok(stuck)
    }

    /// Counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = match &*self.state.lock() {
            Stage::Running(running) => {
                let stats = running.stats();
                *self.last.lock() = stats.clone();
                stats
            }
            _ => self.last.lock().clone(),
        };
        let requests = PyDict::new(py);
        for (lane, count) in LaneKind::ALL.into_iter().zip(stats.requests) {
            requests.set_item(lane.as_str(), count)?;
        }
        let result = PyDict::new(py);
        result.set_item("requests", requests)?;
        result.set_item("in_flight", stats.in_flight)?;
        result.set_item("connections", stats.connections)?;
        let shadow = PyDict::new(py);
        shadow.set_item("dropped", self.shadow.dropped())?;
        result.set_item("shadow", shadow)?;
        Ok(result)
    }

    /// Makes cached answers invalid, those in the making as well, here and in other worker processes. `kind` is `all`, `path`,
    /// `pattern`, `name` or `tag`.
    fn invalidate(&self, py: Python<'_>, kind: &str, text: &str) -> PyResult<()> {
        self.cache.invalidate(py, kind, text)
    }

    /// What the response cache has counted.
    fn cache_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.cache.stats(py)
    }

    /// Waits until no request from the client port `port` is running in Python any more.
    fn wait_peer_idle(&self, py: Python<'_>, port: u16, timeout: f64) -> PyResult<bool> {
        if let Some(lanes) = &*self.lanes.lock() {
            lanes.track.store(true, Ordering::Relaxed);
        }
        let limit = seconds("timeout", timeout)?;
        Ok(py.detach(|| self.exchanges.wait_idle(port, limit)))
    }
}

impl Engine {
    /// The routes of the probes whose paths none of `routes` has.
    fn unclaimed(&self, routes: &[Route]) -> Vec<Route> {
        let probes = Probe::ALL.iter().filter(|_| self.mount).map(|probe| probe.route(self.source()));
        let dashboard =
            Dashboard::ALL.iter().filter(|_| self.mount_dashboard).map(|part| part.route(self.source()));
        let is_free = |own: &Route| routes.iter().all(|route| route.pattern != own.pattern);
        probes.chain(dashboard).filter(is_free).collect()
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(Asked(Arc::clone(&self.vitals)))
    }

    /// Takes these limits in place of those there are.
    fn set_limits(
        &self,
        py: Python<'_>,
        limits: Option<&Bound<'_, PyAny>>,
        lanes: &Arc<Lanes>,
    ) -> PyResult<()> {
        let (limits, functions) = match limits {
            Some(limits) => {
                let (limits, functions) = RateLimits::read(limits, self.shared, lanes)?;
                (Some(Arc::new(limits)), functions)
            }
            None => (None, Arc::from([])),
        };
        let functions = std::mem::replace(&mut *lanes.application.key_functions.write(), functions);
        drop(functions);
        let before = std::mem::replace(&mut *self.vitals.limits.lock(), limits);
        if let Some(before) = before {
            py.detach(|| before.close());
        }
        Ok(())
    }

    /// The handler of the application's route at `place` behind its rate limit, if it has one.
    fn guard(
        &self,
        place: usize,
        pattern: &str,
        body: BodyMode,
        handler: Arc<dyn Handler>,
    ) -> (BodyMode, Arc<dyn Handler>) {
        match &*self.vitals.limits.lock() {
            Some(limits) => limits.guard(place, pattern, body, handler),
            None => (body, handler),
        }
    }

    /// A handler as the route at `place` of this server has it, the way it wants the body, and its number in the cache.
    fn native(
        &self,
        place: usize,
        plan: &Plan,
        bound: Result<NativeHandler, bimetal_host::Error>,
    ) -> PyResult<(BodyMode, Arc<dyn Handler>, Option<u64>)> {
        let handler = bound.map_err(|error| at_route(plan, &error))?;
        let handler = handler
            .with_route(plan.path.as_str())
            .with_deadline(self.native_timeout)
            .with_server(self.handle.clone());
        let handler = match plan.status {
            Some(status) => handler.with_status(status),
            None => handler,
        };
        let body = handler.body_mode();
        // The built-in handlers of these names know their server's state; this server knows more.
        let handler: Arc<dyn Handler> = match (plan.native.as_deref(), plan.shadow) {
            (Some("readyz"), _) => Probe::Readyz.handler(self.source()),
            (Some("metrics"), _) => Probe::Metrics.handler(self.source()),
            (_, Some(share)) => {
                Arc::new(ShadowedHandler::new(handler, place, share, Arc::clone(&self.shadow)))
            }
            (_, None) => Arc::new(handler),
        };
        let (handler, number) = self.cache.around(handler, plan.cache.as_ref(), &self.handle);
        Ok((body, handler, number))
    }

    fn lanes(&self) -> PyResult<Arc<Lanes>> {
        self.lanes.lock().clone().ok_or_else(|| PyRuntimeError::new_err("the server has been closed"))
    }

    fn side(&self) -> PyResult<Arc<LoopSide>> {
        self.side
            .lock()
            .clone()
            .ok_or_else(|| PyRuntimeError::new_err("attach() gives the server its event loop first"))
    }
}

/// How many runners take jobs at the same time: with a GIL a second one would only wait for the first.
fn active_runners(py: Python<'_>) -> PyResult<usize> {
    if interpreter::has_gil(py)? {
        return Ok(1);
    }
    Ok(std::thread::available_parallelism().map_or(1, NonZero::get))
}

pub(crate) fn host_of(address: &Address) -> String {
    match address {
        Address::Inet(address) => address.ip().to_string(),
        Address::Unix(path) => path.to_string_lossy().into_owned(),
    }
}

pub(crate) fn port_of(address: &Address) -> u16 {
    address.inet().map_or(0, |address| address.port())
}

/// The version table, made once.
static BUILD: LazyLock<[(&str, String); 3]> = LazyLock::new(|| {
    [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("abi", format!("{}.{}", bimetal_host::ABI_VERSION.0, bimetal_host::ABI_VERSION.1)),
        ("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
    ]
});

/// Versions of extension and plugin ABI, the target it was built for, and whether the interpreter has a GIL.
#[pyfunction]
pub(crate) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    for (key, value) in &*BUILD {
        info.set_item(key, value)?;
    }
    info.set_item("gil", if interpreter::has_gil(py)? { "enabled" } else { "disabled" })?;
    Ok(info)
}
