"""`Server`: an application on the Rust server, in a thread of its own or on the main thread."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fastapi import FastAPI
from typing_extensions import Self, Unpack

from bimetal import serving
from bimetal._core import Engine, Rebound, Reload, WorkerLink, set_log
from bimetal.address import parse_address
from bimetal.binding import HandlerInfo, PluginChange
from bimetal.caching import ResponseCache
from bimetal.compile import Compilation, RoutePlan, versions
from bimetal.compile.application import edge
from bimetal.compile.edge import Recognised
from bimetal.compile.files import tables_fingerprint
from bimetal.compile.limits import plan_limits
from bimetal.compile.native import bypassed_by_app, unknown_handler
from bimetal.compile.openapi import added_operation, document_natives, renew_natives
from bimetal.compile.reason import BYPASSES, GIVEN
from bimetal.errors import BimetalError, PluginError
from bimetal.lane.entry import EntryPoint
from bimetal.last_resort import LastResort
from bimetal.lifespan import LifespanMode, LifespanRun
from bimetal.options import Limits
from bimetal.otel import Telemetry
from bimetal.plugins import Plugin, Plugins, missing_plugin
from bimetal.shadow import Shadow
from bimetal.table import as_json
from bimetal.threads import runner_start

#: How long cancelled tasks and idle worker threads may take to end when a server stops, in seconds.
_CLEANUP_TIMEOUT = 5.0

#: How long plugins may take to end, where the drain timeout leaves them less, in seconds.
_RETIRE_TIMEOUT = 1.0

#: The engine's own limit, where none was given, and the pause between two looks at what still runs; in seconds.
DRAIN_TIMEOUT = 30.0

#: How long idle connections are kept at a stop by a server that serves until a signal; in seconds.
HANDOVER = 0.5

_BUSY_PACE = 0.005

#: How often a worker counts its requests, in seconds.
_COUNT_PACE = 0.2

logger = logging.getLogger("bimetal")


class Server:
    """One server for one application. Many can run in a process; they start in milliseconds.

    Args:
        app: A FastAPI application, or any other ASGI 3 application.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one, see `Server.port`.
        lifespan: `"on"` requires the ASGI lifespan, `"off"` skips it, `"auto"` uses it where supported.
        root_path: The path under which a proxy publishes the application.
        on_exception: Called with every exception that leaves the application.
        plugins: Plugin libraries, for applications that are not a `Bimetal`.
        plugin_hashes: The SHA-256 of each library that may be loaded, in addition to the application's own list; None
            adds nothing.
        plugin_init_timeout: How long a plugin's `init` may take, in seconds; None leaves it as it is (30).
        installed_plugins: False: no plugin is taken that is only installed; see `Bimetal`.
        forwarded_allow_ips: The proxies that are believed about the client: addresses, networks, names, `"*"` for all;
            nobody with `()`. None takes the environment's FORWARDED_ALLOW_IPS, or else this machine.
        admin: `"HOST:PORT"`: serve `/livez`, `/readyz`, `/startupz` and `/metrics` there as well, from before the
            startup until the server has stopped.
        native: Further native routes, path to handler name, each answering GET before the application's own routes.
        uvloop: Use uvloop for the event loop where it is installed.
        limits: See `bimetal.options.Limits`.

    Example:
        ```python
        import urllib.request
        from bimetal import Server

        with Server(app) as server:
            print(urllib.request.urlopen(f"{server.url}/health").read())
        ```
    """

    def __init__(
        self,
        app: Callable[..., Any],
        host: str = "127.0.0.1",
        port: int = 0,
        lifespan: LifespanMode = "auto",
        root_path: str = "",
        on_exception: Callable[[BaseException], object] | None = None,
        *,
        plugins: Sequence[Plugin] = (),
        plugin_hashes: Sequence[str] | None = None,
        plugin_init_timeout: float | None = None,
        installed_plugins: bool = True,
        forwarded_allow_ips: str | Sequence[str] | None = None,
        admin: str | None = None,
        native: Mapping[str, str] | None = None,
        uvloop: bool = True,
        **limits: Unpack[Limits],
    ) -> None:
        if lifespan not in ("auto", "on", "off"):
            raise TypeError(f"lifespan={lifespan!r} is unknown; use 'auto', 'on' or 'off'")
        self.app = app
        #: What is called for each request: the application, around what the server's edge has done.
        self.entry = EntryPoint(app) if isinstance(app, FastAPI) else app
        self._asgi = self.entry
        self._host = host
        self._port = port
        self._lifespan: LifespanMode = lifespan
        self._root_path = root_path
        self._on_exception = on_exception
        own = getattr(app, "plugins", None)
        self._plugins = own if isinstance(own, Plugins) else Plugins()
        self._plugins.extend(plugins)
        if plugin_hashes is not None:
            self._plugins.allow(plugin_hashes)
        if plugin_init_timeout is not None:
            self._plugins.init_timeout = plugin_init_timeout
        self._plugins.installed = self._plugins.installed and installed_plugins
        cache = getattr(app, "_response_cache", None)
        #: What the routes with a cache have answered; of a `Bimetal` its own `cache`.
        self.cache = cache if isinstance(cache, ResponseCache) else ResponseCache()
        self._admin = parse_address(admin) if admin is not None else None
        self._otel = limits.pop("otel", False)
        self._telemetry: Telemetry | None = None
        self._native = dict(native or {})
        self._absent: list[str] = []
        self._uvloop = uvloop
        self._limits = limits
        self._trusted_proxies = _trusted_proxies(forwarded_allow_ips)
        if limits.get("proxy_protocol") and not any(self._trusted_proxies):
            raise ValueError("proxy_protocol=True needs proxies that are trusted: name them in forwarded_allow_ips")
        self._state: dict[str, Any] = {}
        self._scope_root_path = ""
        self._observer: Callable[..., Any] | None = None
        self._stack: Any = None
        self._link: WorkerLink | None = None
        self._max_requests: int | None = None
        self._last_resort: LastResort | None = None
        #: Whether each request has an `X-Request-ID`.
        self._names_requests = False
        #: Threads that sit in a handler after the stop.
        self._stuck = 0
        self._shadow = Shadow(self.entry)
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._forced: asyncio.Event | None = None
        self._outcome: BaseException | None = None
        #: When stopping has to be over, by `time.monotonic()`.
        self._deadline: float | None = None
        self._final_stats: dict[str, Any] | None = None
        #: The plans of the routes it serves, in order of matching; empty before the start.
        self.plans: list[RoutePlan] = []
        #: The application's middleware, divided between the server's edge and the application; set by `compile`.
        self.edge = Recognised()

    def compile(self) -> list[RoutePlan]:
        """The plans of the application's routes, as the server would use them. Raises RouteError and PluginError.

        Example:
            ```python
            for plan in Server(app).compile():
                print(plan.lane, plan.path)
            ```
        """
        handlers = self._plugins.handlers()
        self._absent = missing = self._plugins.missing()
        try:
            compilation = Compilation(
                self.app,
                handlers,
                root_path=self._scope_root_path,
                path_prefix=self._root_path,
                observer=self._observer,
                # What stands between the server and the application may change the scheme.
                knows_scheme=self._asgi is self.entry,
                recorded=self._otel,
            )
        except PluginError as error:
            if missing:
                raise PluginError(
                    f"{error} ({', '.join(missing)} does not exist: build it, or correct the path)"
                ) from None
            raise
        if missing and not compilation.absent:
            raise missing_plugin(missing[0])
        self._stack = compilation.stack
        self.edge = compilation.edge
        overrides = [self._override(path, name, handlers) for path, name in self._native.items()]
        if isinstance(self.app, FastAPI):
            added = [added_operation(path, handlers[name]) for path, name in self._native.items()]
            document_natives(self.app, [*compilation.operations, *added])
        return overrides + compilation.plans

    def start(self) -> Self:
        """Start in a background thread; returns when the server is listening.

        Raises:
            BindError: The address cannot be bound.
            RouteError, PluginError: A route cannot be served as written.
            Exception: What the application raised in its startup.
        """
        self._open()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run_thread, args=(ready,), name="bimetal loop", daemon=True)
        self._thread.start()
        ready.wait()
        if self._outcome is not None:
            self._join()
        return self

    def stop(self) -> None:
        """Stop accepting, finish the requests in flight, run the application's shutdown; returns when all is gone.

        Does nothing on a server that is not running. Raises what the application raised in its shutdown.
        """
        if self._thread is None:
            return
        self._signal_stop()
        # A finalizer can run on the server's own thread, which then stops by itself.
        if threading.current_thread() is not self._thread:
            self._join()

    def serve_forever(self, on_ready: Callable[[Self], object] | None = None) -> None:
        """Serve on the calling thread until SIGINT or SIGTERM; a second signal ends it without waiting for requests.

        SIGHUP takes in plugin libraries that have changed, as `reload_plugins` does, and logs the outcome.

        Args:
            on_ready: Called with the server once it is listening.

        Raises:
            BimetalError: The server cannot start.
            Exception: What the application raised in its startup or shutdown.

        Example:
            ```python
            Server(app, port=8000).serve_forever()
            ```
        """
        self._open(handover=HANDOVER)
        with self._signals():
            self._run(lambda: on_ready(self) if on_ready is not None else None)
        self._raise_outcome()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host(self) -> str:
        """The address it listens on; the path of a Unix socket."""
        return self._running().host

    @property
    def port(self) -> int:
        """The port it listens on; 0 with a Unix socket."""
        return self._running().port

    @property
    def url(self) -> str:
        """The base address for clients: `http://127.0.0.1:8000`; with a Unix socket `unix:PATH`."""
        if self._running().is_unix:
            return f"unix:{self.host}"
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        scheme = "https" if self._limits.get("ssl_certfile") else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def admin_port(self) -> int | None:
        """The port of `admin`; None without one."""
        address = self._running().admin
        return address[1] if address is not None else None

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._engine is not None

    def reload_plugins(self) -> list[PluginChange]:
        """Take in the plugin libraries whose files have changed; returns what has changed.

        Each new version is loaded, checked against the routes and initialised; then all routes change in one step, here
        and on every other server of the same application in this process. Requests that arrive after this has returned
        meet the new version, on new connections and old ones. Requests in flight finish on the old version, which is
        retired when the last of them has. A library whose file is the same is left as it is.

        Raises:
            PluginError: A new version does not load or does not fit the routes; the old ones go on serving.

        Example:
            ```python
            with Server(app) as server:
                subprocess.run(["cargo", "build", "--release"], cwd="hot", check=True)
                server.reload_plugins()
            ```
        """
        return self._plugins.reload()

    def rebind(self, reload: Reload) -> Rebound:
        """For `bimetal.reload`: the routes with new handlers; nothing is changed yet."""
        return self._running().rebind(reload)

    def publish(self, rebound: Rebound) -> None:
        """For `bimetal.reload`: serve by these routes."""
        self._running().publish(rebound)

    def describe(self, handlers: Mapping[str, HandlerInfo]) -> None:
        """For `bimetal.reload`: say of native routes in the OpenAPI document what these handlers say."""
        if isinstance(self.app, FastAPI):
            renew_natives(self.app, handlers)

    def stats(self) -> dict[str, Any]:
        """Requests by lane, what is open, and what became of the requests to routes with `shadow=`.

        `{"requests": {"native": 0, ...}, "in_flight": 0, "connections": 0, "shadow": {"compared": 0, "different": 0,
        "failed": 0, "dropped": 0}}`: a request counts on the lane of its route. Of a shadow's comparisons, `failed`
        counts those where the Python body gave no answer, `dropped` those that found too many waiting.

        After a stop, the last figures.
        """
        engine = self._engine
        if engine is None and self._final_stats is not None:
            return self._final_stats
        return self._stats(self._running())

    def _stats(self, engine: Engine) -> dict[str, Any]:
        stats = engine.stats()
        return {**stats, "shadow": {**self._shadow.counts(), **stats["shadow"]}}

    def _serve_through(
        self,
        asgi: Callable[..., Any],
        observer: Callable[..., Any],
        state: dict[str, Any],
        scope_root_path: str,
    ) -> None:
        """For the test client: call the application through `asgi`, which sets the root path, and share `state`.

        `observer` does for the scopes of compiled routes what `asgi` does for the others.
        """
        self._asgi = asgi
        self._observer = observer
        self._state = state
        self._scope_root_path = scope_root_path

    def _serve_as_worker(self, link: WorkerLink, max_requests: int | None = None) -> None:
        """For the worker processes of a supervisor: serve on the socket of `link`, and tell of it there.

        After `max_requests`, ask for another worker in place of this one, and go on until it serves.
        """
        self._link = link
        self._max_requests = max_requests

    def _watch_libraries(self, appeared: Callable[[], None]) -> None:
        """For `--reload`: take in plugin libraries as they change; `appeared` is called for one that was not there."""
        from bimetal.watching import Libraries

        Libraries(
            loaded=self._plugins.libraries(),
            absent=self._absent,
            changed=self._reload_and_log,
            appeared=appeared,
        ).watch()

    def _running(self) -> Engine:
        if self._engine is None:
            raise BimetalError("the server is not running; call start() first")
        return self._engine

    def _override(self, path: str, name: str, handlers: Mapping[str, Any]) -> RoutePlan:
        if not path.startswith("/"):
            raise PluginError(f"native route {path!r}: the path must start with '/'")
        if name not in handlers:
            raise PluginError(f"native route {path}: {unknown_handler(name, handlers)}")
        skipped = (
            bypassed_by_app(self.app, handlers[name], recorded=self._otel) if isinstance(self.app, FastAPI) else []
        )
        reason = "; ".join([GIVEN(), BYPASSES(names=", ".join(skipped))] if skipped else [GIVEN()])
        return RoutePlan(path=path, methods=("GET",), lane="native", name=name, reason=reason, native=name)

    def _open(self, handover: float = 0.0) -> None:
        if self._engine is not None:
            raise BimetalError("the server is running already")
        self._outcome = None
        # Where nobody has set up a log: an exception in a handler must not vanish behind a 500.
        set_log("warn", "text")
        with self._plugins.lock:
            try:
                self._open_engine(handover)
            except BaseException:
                self._plugins.retire(_RETIRE_TIMEOUT)
                raise

    def _open_engine(self, handover: float) -> None:
        # Before the routes are read: they depend on whether the application records.
        self._telemetry = Telemetry(self.app) if self._otel else None
        self.plans = self.compile()
        if isinstance(self.app, FastAPI) and (reason := versions.untested()) is not None:
            logger.warning("every Python route is on the asgi lane: %s", reason)
        limits: dict[str, Any] = {"handover": handover, **self._limits}
        self._names_requests = limits["request_id"] = bool(limits.get("request_id")) or self.edge.request_id
        # With an address of the probes it is there alone; the supervisor serves that for all of its workers.
        limits["dashboard"] = self._has_dashboard() and (self._admin is None or self._link is None)
        engine = Engine(
            self._asgi,
            host=self._host,
            port=self._port,
            root_path=self._root_path,
            trusted_proxies=self._trusted_proxies,
            on_exception=self._on_exception,
            link=self._link,
            # The supervisor serves it for all of its workers.
            admin=self._admin if self._link is None else None,
            spans=self._telemetry.queue if self._telemetry is not None else None,
            **limits,
        )
        try:
            self._set_routes(engine)
        except BaseException:
            self.cache.end(engine)
            engine.close()
            raise
        self._engine = engine
        if self._telemetry is not None:
            self._telemetry.start()
        self._plugins.served_by(self)

    def _has_dashboard(self) -> bool:
        return bool(self._limits.get("dashboard"))

    def _set_routes(self, engine: Engine) -> None:
        limits = plan_limits(self.app, self.plans, begins=self._link is None or self._link.first)
        engine.set_routes(self.plans, self._plugins.host(), list(self.edge.layers), limits)
        if self._has_dashboard():
            engine.describe_routes(json.dumps(as_json(self.plans)))
        if isinstance(self.entry, EntryPoint):
            self.entry.use(self.edge)
        root_path = "" if self._root_path else getattr(self.app, "root_path", "") or self._scope_root_path
        self.cache.begin(engine, root_path, self.plans)

    def _run_thread(self, ready: threading.Event) -> None:
        try:
            self._run(ready.set)
        except BaseException as error:
            self._outcome = self._outcome or error
        finally:
            ready.set()

    def _run(self, ready: Callable[[], object]) -> None:
        """The life of the event loop; what goes wrong is left in `_outcome`."""
        engine = self._running()
        loop = self._new_loop()
        try:
            asyncio.set_event_loop(loop)
            self._loop = loop
            self._stopping = asyncio.Event()
            self._forced = asyncio.Event()
            try:
                loop.run_until_complete(self._serve(engine, loop, ready))
            except BaseException as error:
                self._outcome = error
            _cancel_leftovers(loop)
        finally:
            self._loop = None
            serving.end(loop)
            self.cache.end(engine)
            self._final_stats = self._stats(engine)
            with self._plugins.lock:
                self._plugins.not_served_by(self)
                self._engine = None
            self._stuck = engine.close()
            if self._telemetry is not None:
                self._telemetry.close()
            asyncio.set_event_loop(None)
            loop.close()
            _join_workers(loop)
            self._retire_plugins()

    def _retire_plugins(self) -> None:
        """Have the plugins end with the last server that uses them, in the time that is left for stopping."""
        deadline, self._deadline = self._deadline, None
        left = _RETIRE_TIMEOUT if deadline is None else deadline - time.monotonic()
        self._plugins.retire(max(left, _RETIRE_TIMEOUT))

    async def _serve(self, engine: Engine, loop: asyncio.AbstractEventLoop, ready: Callable[[], object]) -> None:
        assert self._stopping is not None
        engine.attach(loop, self._state, runner_start(loop))
        serving.begin(loop, engine, self._root_path)
        lifespan = LifespanRun(self._asgi, self._lifespan, self._state)
        with_files = any(plan.files is not None for plan in self.plans)
        before = _fingerprint(self.app, self._otel, with_files)
        if self._stack is not None:
            self._stack.install()
        if self._link is not None:
            self._link.stage("waiting for the application's startup (lifespan)")
        await lifespan.startup()
        shadow: asyncio.Task[None] | None = None
        try:
            if _fingerprint(self.app, self._otel, with_files) != before:
                # The startup has added routes or middleware.
                with self._plugins.lock:
                    self.plans = self.compile()
                    if self.edge.request_id and not self._names_requests:
                        raise BimetalError(
                            "the application's startup has added RequestIDMiddleware; add it before the server starts, "
                            "or use request_id=True"
                        )
                    self._set_routes(engine)
            engine.serve()
            if any(plan.shadow for plan in self.plans):
                shadow = loop.create_task(self._shadow.run(engine, lambda: self.plans))
            ready()
            if self._link is not None:
                self._link.serves()
                await self._enough_requests(engine, self._link)
            await self._stopping.wait()
            await self._drain(engine)
        finally:
            if self._last_resort is not None:
                self._last_resort.disarm()
            if shadow is not None:
                shadow.cancel()
                # A Python body may not let itself be cancelled.
                await asyncio.wait([shadow], timeout=_CLEANUP_TIMEOUT)
            await lifespan.shutdown()

    async def _enough_requests(self, engine: Engine, link: WorkerLink) -> None:
        """Wait for the last request that this worker is meant to answer, or for the stop."""
        assert self._stopping is not None
        while self._max_requests is not None and not self._stopping.is_set():
            if sum(engine.stats()["requests"].values()) >= self._max_requests:
                link.ask_to_leave()
                return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _COUNT_PACE)

    async def _drain(self, engine: Engine) -> None:
        assert self._forced is not None
        deadline = self._deadline = time.monotonic() + self._limits.get("drain_timeout", DRAIN_TIMEOUT)
        drained = asyncio.ensure_future(engine.drain())
        forced = asyncio.ensure_future(self._forced.wait())
        try:
            await asyncio.wait({drained, forced}, return_when=asyncio.FIRST_COMPLETED)
            if drained.done() and not drained.result():
                logger.warning("some requests did not finish within the drain timeout and were dropped")
                return
        finally:
            forced.cancel()
            drained.cancel()
        # What follows a response: background tasks, and dependencies that end.
        while engine.busy() and not self._forced.is_set():
            if time.monotonic() > deadline:
                logger.warning("background tasks did not finish within the drain timeout and are cancelled")
                break
            await asyncio.sleep(_BUSY_PACE)

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        if self._uvloop:
            try:
                import uvloop
            except ImportError:
                pass
            else:
                loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
                return loop
        return asyncio.new_event_loop()

    def _signal_stop(self) -> None:
        """Ask the loop to stop; asked again, not to wait for requests either. From any thread."""

        def stop() -> None:
            if self._stopping is not None and not self._stopping.is_set():
                self._stopping.set()
            elif self._forced is not None:
                self._forced.set()

        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(stop)
            except RuntimeError:
                logger.debug("the event loop has ended already")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            raise BimetalError("serve_forever() must run on the main thread; use start() on others")
        # A worker is ended by its supervisor.
        last_resort = LastResort(self._limits.get("drain_timeout", DRAIN_TIMEOUT)) if self._link is None else None
        self._last_resort = last_resort

        def stop(*_: object) -> None:
            if last_resort is not None:
                last_resort.signalled()
            self._signal_stop()

        handlers: dict[int, Callable[..., None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
        if self._link is not None:
            # A terminal sends it to the supervisor as well, which tells its workers what to do.
            handlers[signal.SIGINT] = lambda *_: None
        hangups: queue.SimpleQueue[bool] = queue.SimpleQueue()
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = lambda *_: hangups.put(True)
            # On a thread of its own: loading a library may take its time, and the main thread is the event loop's.
            threading.Thread(target=self._reload_on, args=(hangups,), name="bimetal reload", daemon=True).start()
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            hangups.put(False)
            if last_resort is not None:
                last_resort.disarm()
            self._last_resort = None

    def _reload_on(self, hangups: queue.SimpleQueue[bool]) -> None:
        """Reload the plugins for each SIGHUP, until the server has stopped; those that come meanwhile are one."""
        wanted = hangups.get()
        while wanted:
            while wanted and not hangups.empty():
                wanted = hangups.get()
            if self._reload_and_log() == []:
                logger.info("no plugin library has changed")
            wanted = hangups.get()

    def _reload_and_log(self) -> list[PluginChange] | None:
        """Reload the plugins and log what has come of it; None where they are refused."""
        try:
            changes = self.reload_plugins()
        except BimetalError as error:
            logger.error("the plugins are not reloaded, the old versions go on serving: %s", error)
            return None
        except Exception:
            logger.exception("the plugins are not reloaded")
            return None
        for change in changes:
            logger.info(
                "plugin %s (%s) is reloaded: version %s, before %s",
                change["plugin"],
                change["path"],
                change["new_version"],
                change["old_version"],
            )
        return changes

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._raise_outcome()

    def _raise_outcome(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            raise outcome


def _fingerprint(app: Any, recorded: bool, with_files: bool) -> tuple[Any, ...]:
    """Changes when an application gets other routes or middleware."""
    router: Any = getattr(app, "router", None)
    routes = getattr(router, "routes", ())
    version = router._get_routes_version() if hasattr(router, "_get_routes_version") else 0
    telemetry = getattr(app, "_native_telemetry", None)
    return (
        version,
        [id(route) for route in routes],
        len(getattr(app, "user_middleware", ())),
        telemetry is not None and telemetry.enabled(),
        [id(middleware) for middleware in edge(app, recorded=recorded).done] if isinstance(app, FastAPI) else [],
        tables_fingerprint() if with_files else None,
        getattr(app, "rate_limiting", None),
    )


def _cancel_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    if tasks:
        for task in tasks:
            task.cancel()
        _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=_CLEANUP_TIMEOUT))
        for task in pending:
            logger.warning("a task did not end when it was cancelled: %r", task)
        for task in tasks - pending:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("a task failed while the server stopped", exc_info=error)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(_shutdown_executor(loop))


async def _shutdown_executor(loop: asyncio.AbstractEventLoop) -> None:
    try:
        await asyncio.wait_for(loop.shutdown_default_executor(), _CLEANUP_TIMEOUT)
    except asyncio.TimeoutError:
        logger.warning("a thread of the default executor is still busy and was left behind")


def _join_workers(loop: asyncio.AbstractEventLoop) -> None:
    """Wait for the AnyIO worker threads of an ended loop, which have been told to stop."""
    for thread in threading.enumerate():
        if getattr(thread, "loop", None) is loop:
            thread.join(_CLEANUP_TIMEOUT)


def _trusted_proxies(allowed: str | Sequence[str] | None) -> list[str]:
    if allowed is None:
        allowed = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
    return allowed.split(",") if isinstance(allowed, str) else list(allowed)
