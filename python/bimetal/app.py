"""`Bimetal`: FastAPI's application class with native routes, plugins and a server of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import fastapi
from typing_extensions import Unpack

from bimetal.binding import PluginChange
from bimetal.caching import ResponseCache
from bimetal.compile.edge import edge_middleware
from bimetal.limits import Headers, Key, RateLimit, RateLimiting, RedisStore
from bimetal.options import ApplicationOptions, CompressionOptions, ETagOptions, Limits, SecurityHeaderOptions
from bimetal.plugins import Plugin, Plugins
from bimetal.routing import NativeRoutes


class Bimetal(NativeRoutes, fastapi.FastAPI):  # type: ignore[misc]  # the options are a superset of FastAPI's
    """A `fastapi.FastAPI` whose routes can be answered by native handlers.

    Takes every argument of FastAPI; `from bimetal import Bimetal as FastAPI` is a drop-in.

    Args:
        plugins: Plugin libraries, each a path or a pair of path and configuration, loaded when a server starts. A
            plugin installed with pip can be given by its name, which is only needed for a configuration.
        installed_plugins: Look for handlers that nobody has loaded in the plugins installed with pip.
        plugin_hashes: The SHA-256 of each library that may be loaded; None lets any.
        plugin_init_timeout: How long a plugin's `init` may take, in seconds.
        compression: Compress responses; settings as of `bimetal.middleware.CompressionMiddleware`.
        etag: Entity tags and 304; settings as of `bimetal.middleware.ETagMiddleware`.
        security_headers: Header fields for browsers; settings as of `bimetal.middleware.SecurityHeadersMiddleware`.
            These three are outside of all middleware that is added; from the inside: etag, compression, headers.
        options: All of FastAPI's arguments.

    Example:
        ```python
        from bimetal import Bimetal

        app = Bimetal(title="Shop", plugins=["target/release/libhot.so"])

        @app.get("/health", handler_type="native")
        def health(): ...

        @app.get("/orders/{order_id}")
        def order(order_id: int):
            return {"order_id": order_id}

        if __name__ == "__main__":
            app.run(port=8000)
        ```
    """

    #: How many of `user_middleware` are there by options of the application: they stay the outermost.
    _outermost = 0

    def __init__(
        self,
        *,
        plugins: Sequence[Plugin] = (),
        installed_plugins: bool = True,
        plugin_hashes: Sequence[str] | None = None,
        plugin_init_timeout: float = 30.0,
        compression: bool | CompressionOptions = False,
        etag: bool | ETagOptions = False,
        security_headers: bool | SecurityHeaderOptions = False,
        **options: Unpack[ApplicationOptions],
    ) -> None:
        #: What the routes with `cache=` have answered.
        self.cache = self._response_cache = ResponseCache()
        outermost = edge_middleware(compression=compression, etag=etag, security_headers=security_headers)
        self.plugins = Plugins(plugins, installed=installed_plugins)
        self.plugins.init_timeout = plugin_init_timeout
        if plugin_hashes is not None:
            self.plugins.allow(plugin_hashes)
        self.rate_limiting: RateLimiting | None = None
        super().__init__(**options)  # type: ignore[arg-type]
        self._outermost = len(outermost)
        self.user_middleware[:0] = outermost

    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Add a middleware outside of those that are there; see `fastapi.FastAPI.add_middleware`.

        What `Bimetal(compression=...)` and its like ask for stays outside of it.
        """
        super().add_middleware(middleware_class, *args, **kwargs)
        self.user_middleware.insert(self._outermost, self.user_middleware.pop(0))

    def configure_rate_limiting(
        self,
        enabled: bool = True,
        requests_per_minute: int | None = None,
        *,
        requests: int | None = None,
        per: str | float | timedelta = "minute",
        burst: int | None = None,
        key: Key = "client",
        name: str | None = None,
        store: str | RedisStore = "shared",
        exempt: Sequence[str] = (),
        headers: Headers = "ietf",
        max_clients: int = 100_000,
    ) -> None:
        """Limit how often a client is answered, by all routes together; read when a server starts.

        Routes with `rate_limit=` have their own limit instead, or none. Beyond a limit the answer is 429 with
        `Retry-After`, before the body is read. Without `requests_per_minute` and `requests` only the routes' own limits
        apply, with what is set here.

        Args:
            enabled: False: nothing is limited, whatever routes say.
            requests_per_minute: The same as `requests` with `per="minute"`.
            requests: How many requests a client may make in a period.
            per: The period: see `RateLimit`, also for `burst`, `key` and `name`.
            burst: How many of them at once; all by default.
            key: What is counted by: `"client"`, `"header:NAME"`, or a function.
            name: What clients are told it is called.
            store: Where clients are counted: `"shared"`, by all worker processes together; `"process"`, by each for
                itself; in a Redis, by its URL or a `RedisStore`.
            exempt: Paths that are not limited; one with a `*` at its end stands for all that begin so.
            headers: What tells clients how they stand: `"ietf"` for RateLimit and RateLimit-Policy, `"x"` for
                X-RateLimit-Limit, -Remaining and -Reset (in seconds), `"both"`, `"none"`.
            max_clients: As many clients are told apart at a time in a process of its own. Beyond, they share what is
                left.

        Raises:
            TypeError, ValueError: An argument cannot be meant; the text says which, and what can.

        Example:
            ```python
            app.configure_rate_limiting(requests_per_minute=600, burst=50, exempt=["/health"])
            ```
        """
        if requests is not None and requests_per_minute is not None:
            raise TypeError("give requests with per, or requests_per_minute, not both")
        if requests is None and per != "minute":
            raise TypeError("per belongs to requests: give requests=..., per=...")
        limit = None
        if requests is not None:
            limit = RateLimit(requests, per, burst, key, name)
        elif requests_per_minute is not None:
            limit = RateLimit(requests_per_minute, "minute", burst, key, name)
        self.rate_limiting = RateLimiting.of(enabled, limit, store, exempt, headers, max_clients)

    def load_plugin(self, path: str | os.PathLike[str], config: Mapping[str, Any] | None = None) -> None:
        """Add a plugin library, loaded when a server starts.

        Args:
            path: The library, relative to the working directory, or the name of a plugin installed with pip.
            config: What the plugin's `init` gets, as JSON.

        Example:
            ```python
            app.load_plugin("target/release/libhot.so", config={"cache": 1000})
            ```
        """
        self.plugins.add(path, config)

    def reload_plugins(self) -> list[PluginChange]:
        """Take in the plugin libraries whose files have changed, on every server of this application in this process.

        Each new version is loaded, checked against the routes and initialised; then all routes change in one step.
        Requests in flight finish on the old version, which is retired when the last of them has. Returns what has
        changed.

        Raises:
            PluginError: A new version does not load or does not fit; the old ones go on serving.

        Example:
            ```python
            for change in app.reload_plugins():
                print(change["plugin"], change["old_version"], "->", change["new_version"])
            ```
        """
        return self.plugins.reload()

    def run(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        workers: int = 1,
        *,
        lifespan: Literal["auto", "on", "off"] = "auto",
        root_path: str = "",
        forwarded_allow_ips: str | Sequence[str] | None = None,
        admin: str | None = None,
        **limits: Unpack[Limits],
    ) -> None:
        """Serve the application until SIGINT or SIGTERM; on the main thread.

        Args:
            host: The address to listen on.
            port: The port to listen on; 0 takes a free one.
            workers: Processes. With more than one, each starts the program again, and this one keeps them: SIGHUP
                replaces them, one that ends is started anew.
            lifespan: `"on"` requires the ASGI lifespan, `"off"` skips it, `"auto"` uses it where supported.
            root_path: The path under which a proxy publishes the application.
            forwarded_allow_ips: The proxies that are believed about the client; see `Server`.
            admin: `"HOST:PORT"` for the probes and the figures of all workers; see `Server`.
            limits: See `bimetal.options.Limits`.

        Raises:
            BimetalError: The server cannot start, or its workers cannot be kept alive; the text names the reason.

        Example:
            ```python
            app.run(host="0.0.0.0", port=8000, drain_timeout=10)
            ```
        """
        from bimetal.server import DRAIN_TIMEOUT, Server
        from bimetal.worker import inherited, supervise

        drain_timeout = limits.get("drain_timeout", DRAIN_TIMEOUT)
        link = inherited(drain_timeout)
        if workers != 1 and link is None:
            supervise(
                host=host,
                port=port,
                uds=limits.get("uds"),
                fd=limits.get("fd"),
                workers=workers,
                drain_timeout=drain_timeout,
                admin=admin,
                dashboard=bool(limits.get("dashboard")),
            )
            return
        server = Server(
            self,
            host=host,
            port=port,
            lifespan=lifespan,
            root_path=root_path,
            forwarded_allow_ips=forwarded_allow_ips,
            admin=admin,
            **limits,
        )
        if link is not None:
            server._serve_as_worker(link)
        server.serve_forever()
