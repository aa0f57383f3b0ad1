"""The compiled half of Bimetal: I/O workers, lanes, JSON bridge, plugin host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, Literal, final

from typing_extensions import Self, Unpack

from bimetal.binding import HandlerInfo, PluginChange, PluginInfo
from bimetal.compile.plan import RoutePlan
from bimetal.options import Settings

__all__ = [
    "BimetalError",
    "BindError",
    "EdgeLayer",
    "EdgeStream",
    "Engine",
    "Host",
    "Lifespan",
    "PluginError",
    "Rebound",
    "Reload",
    "RouteCall",
    "RouteError",
    "SpanQueue",
    "Supervisor",
    "WorkerLink",
    "build_info",
    "dumps",
    "gains",
    "loads",
    "sdk_sources",
    "set_log",
]

class BimetalError(Exception):
    """Base of every error Bimetal raises itself; its text is one line that names the fix."""

class BindError(BimetalError):
    """The listening address cannot be bound."""

class RouteError(BimetalError):
    """A route cannot be served as written."""

class PluginError(BimetalError):
    """A plugin or a native handler cannot be used."""

@final
class Host:
    """The native handlers that routes can be bound to: built in, linked statically, loaded from plugins."""

    def __new__(cls) -> Self: ...
    def load(self, path: str, config: str | None = None) -> list[HandlerInfo]:
        """Load a plugin library; `config` is JSON for its `init`. Raises PluginError."""

    def set_policy(self, allowed_sha256: list[str] | None, init_timeout: float) -> None:
        """Say what is demanded of libraries from now on: their SHA-256 (None: any), seconds for their `init`."""

    def retire(self, timeout: float) -> bool:
        """Give up every plugin and wait at most `timeout` seconds until they are retired; whether they all are."""

    def prepare_reload(self) -> Reload:
        """Load what has changed of the libraries. Raises PluginError, and nothing is changed."""

    def handlers(self) -> list[HandlerInfo]:
        """Every handler, sorted by name."""

    def plugins(self) -> list[PluginInfo]:
        """Every plugin, built-in ones included, sorted by name."""

@final
class Reload:
    """Libraries that have changed: loaded, checked and initialised, and used by nobody yet."""

    def changes(self) -> list[PluginChange]:
        """The libraries that have changed; empty when there is nothing to do."""

    def handlers(self) -> list[HandlerInfo]:
        """Every handler of the new generation, sorted by name."""

    def commit(self) -> None:
        """Make it the host's, after it has been published. The old generation is retired once it has drained."""

    def discard(self) -> None:
        """Give it up: what was initialised is retired."""

@final
class Rebound:
    """The routes of one server with the handlers of a new generation."""

    def discard(self) -> None:
        """Give it up."""

@final
class EdgeLayer:
    """One layer of the server's edge, for the server or for use inside other middleware."""

    def __new__(cls, kind: Literal["cors", "gzip", "hosts", "https"], config: dict[str, Any]) -> Self:
        """Make a layer from all the arguments of Starlette's middleware of that job, by their names.

        `allow_origin_regex` is in the syntax of Rust's `regex`, `max_age` a text. Raises BimetalError for what the
        middleware would refuse.
        """

    @property
    def kind(self) -> str:
        """What it was made as."""

    @property
    def redirects(self) -> bool:
        """Whether its answers hold the request's URL, and so its scheme."""

    def before(self, scope: MutableMapping[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """The answer to the request of an ASGI scope: status, headers, body; None when it passes."""

    def after(
        self, scope: MutableMapping[str, Any], status: int, raw_headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The completed form of a whole response to that request."""

    def stream(
        self, scope: MutableMapping[str, Any], status: int, raw_headers: Iterable[tuple[bytes, bytes]]
    ) -> tuple[list[tuple[bytes, bytes]], EdgeStream | None]:
        """The completed headers of a response whose body comes in parts, and what the parts have to go through."""

    def holds(self, status: int, raw_headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether the layer keeps such a head back until the body begins."""

@final
class EdgeStream:
    """Compresses the parts of one body."""

    def part(self, part: bytes, more: bool) -> bytes:
        """The bytes to send for one part; `more` as `more_body` in ASGI."""

@final
class Engine:
    """One server: a bound listener, its lanes, its route table."""

    def __new__(
        cls,
        app: Callable[..., Any],
        *,
        on_exception: Callable[[BaseException], object] | None = None,
        link: WorkerLink | None = None,
        spans: SpanQueue | None = None,
        **settings: Unpack[Settings],
    ) -> Self:
        """Bind the address, or take the socket `fd` or that of `link`. Nothing is accepted until `serve`.

        What is not set is as the runtime has it. Raises BindError, BimetalError where TLS is not possible as asked,
        TypeError for a setting there is not, ValueError for one that is not allowed.
        """

    @property
    def host(self) -> str:
        """The bound address, or the path of the Unix socket."""

    @property
    def port(self) -> int:
        """The bound port; 0 for a Unix socket."""

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""

    @property
    def admin(self) -> tuple[str, int] | None:
        """Where the probes are served besides; None where they are not."""

    def set_routes(self, plans: Sequence[RoutePlan], natives: Host, edge: Sequence[EdgeLayer]) -> None:
        """Set the route table, in order. Native plans are bound by name in `natives`.

        `edge` is what every request passes before it is routed, the outermost layer first.

        Raises RouteError, PluginError.
        """

    def describe_routes(self, routes: str) -> None:
        """For the page for people: what `bimetal routes --json` says of the routes."""

    def rebind(self, reload: Reload) -> Rebound:
        """Bind the native routes to the handlers of a new generation. Nothing is changed yet. Raises PluginError."""

    def publish(self, rebound: Rebound) -> None:
        """Serve by these routes from now on, in one step; requests in flight finish on the old ones."""

    def invalidate(self, kind: Literal["all", "path", "pattern", "name", "tag"], text: str) -> None:
        """Make cached answers invalid, those in the making as well, here and in other worker processes.

        Raises BimetalError where the other processes cannot be told.
        """

    def cache_stats(self) -> dict[str, Any]:
        """What the response cache has counted; see `bimetal.caching.ResponseCache.stats`."""

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        state: dict[str, Any],
        on_runner_start: Callable[[], object] | None = None,
    ) -> None:
        """Give the engine its event loop; on the loop's thread.

        `state` is copied into each ASGI scope; `on_runner_start` is called on each thread of the `sync` lane as it
        starts.
        """

    def serve(self) -> None:
        """Accept connections from now on."""

    def call(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        *,
        client: tuple[str, int] | None = None,
        secure: bool = False,
    ) -> Awaitable[tuple[int, list[tuple[bytes, bytes]], bytes]]:
        """Call a route of this server without a connection; on the loop's thread.

        `target` is path and query, percent-encoded; `client` and `secure` are those of the request on whose behalf
        the call is: its address and port, whether it came over HTTPS. Ends with status, header fields and body of the
        answer. Raises BimetalError where there is none, ValueError for what no request can have.
        """

    def next_shadowed(
        self,
    ) -> Awaitable[tuple[int, dict[str, Any], int, list[tuple[bytes, bytes]], bytes]]:
        """The next native exchange to be compared with its route's Python body; on the loop's thread.

        Number of the plan, ASGI scope of the request, and the response's status, headers and body.
        """

    def drain(self) -> Awaitable[bool]:
        """Stop accepting and wait for requests in flight, at most `drain_timeout`. True when all of them finished."""

    def busy(self) -> int:
        """Requests of which something still runs in Python: background tasks, generators that end after a response."""

    def close(self) -> int:
        """Stop everything that is left, join every thread, detach from the loop.

        Returns how many threads cannot be joined, because a handler does not return.

        On the loop's thread, or after the loop has ended.
        """

    def stats(self) -> dict[str, Any]:
        """`{"requests": {"native": 0, ...}, "in_flight": 0, "connections": 0, "shadow": {"dropped": 0}}`.

        A request counts on the lane of its route.
        """

    def wait_peer_idle(self, port: int, timeout: float) -> bool:
        """Wait until no request from the client port `port` is running in Python any more.

        False when `timeout` (seconds) passed.
        """

class _Channel:
    def receive(self) -> Awaitable[dict[str, Any]]: ...
    def send(self, message: dict[str, Any]) -> Awaitable[None]: ...

class _Thread:
    def wait(self) -> Awaitable[Any]:
        """Ends with what the function returns or raises. Can be awaited again by whoever was interrupted."""

@final
class RouteCall:
    """A request of a compiled route, for the operation that answers it."""

    @property
    def on_loop(self) -> bool:
        """Whether the operation runs on the event loop; on a runner thread otherwise."""

    @property
    def method(self) -> str:
        """The request's method."""

    @property
    def is_buffered(self) -> bool:
        """Whether the body was read before the operation started."""

    @property
    def body(self) -> bytes:
        """The body that was read before the operation started."""

    @property
    def body_size(self) -> int:
        """How many bytes it has."""

    @property
    def started(self) -> bool:
        """Whether a response has been begun."""

    def header(self, name: str) -> str | None:
        """The first value of a header field (name in lower case), decoded as Latin-1."""

    def json(self) -> Any:
        """What `json.loads` gives for the body. Raises what it raises."""

    def values(self, number: int) -> dict[str, Any] | None:
        """The arguments of step `number` by keyword, once; None where FastAPI's own functions have to read them."""

    def scope(self) -> dict[str, Any]:
        """A new ASGI scope of the request."""

    def is_routed_here(self, scope: MutableMapping[str, Any]) -> bool:
        """Whether a scope still leads to this route: nobody has changed path or method of the one made here."""

    def is_untouched(self, scope: MutableMapping[str, Any]) -> bool:
        """Whether a scope is as the one made here, in all that parameters are read from."""

    def channel(self) -> _Channel:
        """The request's ASGI `receive` and `send`."""

    def encode(self, result: Any) -> None:
        """Turn a handler's result into the JSON bytes of the route's answer, and keep them."""

    def encoded(self) -> bytes:
        """What `encode` has kept."""

    def respond_encoded(self, status: int) -> None:
        """Send what `encode` has kept, as JSON."""

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes | memoryview) -> bool:
        """Send a whole response. False, and nothing is sent, where the body is not as long as its headers say."""

    def flush(self) -> None:
        """Send at once what has been answered: something else of the request runs now."""

    def in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> _Thread:
        """Have `function(**arguments)` called on a runner thread, in a copy of the context. On the event loop only."""

@final
class Lifespan:
    """The ASGI lifespan exchange: `receive` and `send` for the application, and its two phases for the server."""

    def __new__(cls) -> Self: ...
    def receive(self) -> Awaitable[dict[str, Any]]: ...
    def send(self, message: dict[str, Any]) -> Awaitable[None]: ...
    def started(self) -> Awaitable[str | None]:
        """Ends with the startup: None when complete, the message when the application said `startup.failed`."""

    def shutdown(self) -> Awaitable[str | None]:
        """Sends `lifespan.shutdown` and ends with its outcome: None when complete, the message when it failed."""

    def finished(self) -> None:
        """Tell it that the application's coroutine has ended, so that nobody waits for a message that cannot come."""

def dumps(value: Any) -> bytes:
    """`value` as compact JSON: the bytes Starlette's JSONResponse renders for it after FastAPI's jsonable_encoder."""

def loads(data: bytes) -> Any:
    """What `json.loads` gives for `data`."""

def gains(routes: Sequence[tuple[bool, int, float, float, float]]) -> list[str | None]:
    """For each of all routes why it would gain from Rust, if it would: (native already, requests, seconds outside and
    inside the handler, and for how many of these its thread was on a core).
    """

def set_log(level: str, format: str, access_format: str | None = None) -> None:
    """Set up the process's log once: level (`error` to `trace`), format `text` or `json`."""

def sdk_sources() -> dict[str, str]:
    """The sources of the crates that plugins are built with: path below the repository's root to text."""

def build_info() -> dict[str, str]:
    """Versions of extension and plugin ABI, the target it was built for, and whether the interpreter has a GIL."""

@final
class SpanQueue:
    """Requests that have ended, for a thread that makes spans of them."""

    def __new__(cls, all_lanes: bool) -> Self:
        """With `all_lanes` of every request, else of those that no lane of Python hears of."""

    def take(self) -> list[dict[str, Any]] | None:
        """The requests that have ended since the last call, after waiting for one; none of them after a second.

        None when the queue is closed, and so is every server that records into it.
        """

    def close(self) -> None:
        """No further server will record into it."""

@final
class Supervisor:
    """Keeps worker processes that share a listening socket."""

    def __new__(
        cls,
        command: Sequence[str],
        *,
        host: str,
        port: int,
        uds: str | os.PathLike[str] | None = None,
        fd: int | None = None,
        workers: int,
        drain_timeout: float,
        heartbeat_timeout: float,
        startup_timeout: float,
        max_memory: int | None = None,
        max_memory_jitter: int = 0,
        wait_for_changes: bool,
        admin: tuple[str, int] | None = None,
        dashboard: bool = False,
    ) -> Self:
        """Bind the address, or take the socket `fd`. Workers run `command`, and inherit the socket.

        `max_memory` and its jitter are bytes. `wait_for_changes`: a worker that does not start is not tried again
        before `replace`. Raises BindError.
        """

    @property
    def host(self) -> str:
        """The bound address, or the path of the Unix socket."""

    @property
    def port(self) -> int:
        """The bound port; 0 for a Unix socket."""

    @property
    def admin(self) -> tuple[str, int] | None:
        """Where the probes of all workers are served; None where they are not."""

    def run(self) -> None:
        """Keep the workers until SIGINT or SIGTERM, without the interpreter.

        Raises BimetalError when they cannot be kept alive.
        """

    def replace(self) -> None:
        """Start new workers; the old ones are drained when those serve. From any thread."""

    def stop(self) -> None:
        """Stop as SIGTERM does. From any thread."""

@final
class WorkerLink:
    """A worker's line to its supervisor, and the socket it has inherited."""

    VARIABLE: Final[str]

    @staticmethod
    def take(value: str, drain_timeout: float) -> WorkerLink | None:
        """Take what a supervisor has left to this process; None where `value` is another process's."""

    @property
    def first(self) -> bool:
        """Whether no worker of the supervisor has served before."""

    def stage(self, what: str) -> None:
        """Say what the worker does next, before it serves: "importing main:app"."""

    def serves(self) -> None:
        """Say that the worker accepts connections."""

    def ask_to_leave(self) -> None:
        """Ask for another worker, which takes this one's place."""
