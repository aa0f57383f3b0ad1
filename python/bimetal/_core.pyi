"""The compiled half of Bimetal: I/O workers, lanes, JSON bridge, plugin host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Final, Literal, final

from starlette.responses import Response
from typing_extensions import Buffer, Self, Unpack

from bimetal.binding import HandlerInfo, PluginChange, PluginInfo
from bimetal.compile.limits import LimitPlan
from bimetal.compile.plan import RoutePlan
from bimetal.options import Settings

__all__ = [
    "EXCLUDED_CONTENT_TYPES",
    "BimetalError",
    "BindError",
    "EdgeLayer",
    "EdgeStream",
    "Engine",
    "Host",
    "Lifespan",
    "PgCopyIn",
    "PgCopyOut",
    "PgPool",
    "PgQuery",
    "PgResult",
    "PgTransaction",
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
    "pg_forked",
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

#: Types of content that are compressed already, or must not wait.
EXCLUDED_CONTENT_TYPES: tuple[str, ...]

@final
class EdgeLayer:
    """One layer of the server's edge, for the server or for use inside other middleware."""

    def __new__(
        cls,
        kind: Literal["cors", "gzip", "hosts", "https", "compression", "etag", "security"],
        config: dict[str, Any],
    ) -> Self:
        """Make a layer from all the arguments of Starlette's middleware of that job, by their names.

        `allow_origin_regex` is in the syntax of Rust's `regex`, `max_age` a text. `compression` has `minimum_size`,
        `codings` as in `[("zstd", 3)]` and `exclude_content_types`, `etag` has `weak`, `security` has `headers` as in
        `[("x-frame-options", "DENY")]`. Raises BimetalError for what the middleware would refuse.
        """

    @property
    def kind(self) -> str:
        """What it was made as."""

    @property
    def is_about_bodies(self) -> bool:
        """Whether it completes bodies, and may keep the head of a response back until the body begins."""

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

    def set_routes(
        self, plans: Sequence[RoutePlan], natives: Host, edge: Sequence[EdgeLayer], limits: LimitPlan | None = None
    ) -> None:
        """Set the route table, in order. Native plans are bound by name in `natives`.

        `edge` is what every request passes before it is routed, the outermost layer first. `limits` has how often
        clients are answered.

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

@final
class PgResult:
    """What a statement has given. The rows are kept as they came, and become Python objects when they are asked for."""

    def all(self) -> list[dict[str, Any]]:
        """All rows."""

    def one(self) -> dict[str, Any]:
        """The one row there is. Raises bimetal.pg.PgRowsError for none and for several."""

    def one_or_none(self) -> dict[str, Any] | None:
        """The one row there is, or None. Raises bimetal.pg.PgRowsError for several."""

    def first(self) -> dict[str, Any] | None:
        """The first row, or None."""

    def scalar(self) -> Any:
        """The first value of the first row, or None where there is no row."""

    def scalars(self) -> list[Any]:
        """The first value of each row."""

    def json(self) -> bytes:
        """All rows as JSON, a list of objects, made without Python objects; as FastAPI would write `all()`."""

    def response(self, status_code: int = 200) -> Response:
        """The same as a response, which is sent as it is."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement gave or changed."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...

@final
class PgQuery:
    """A statement and its arguments; sent when it is awaited, or when one of its methods is called, once."""

    def __await__(self) -> Generator[Any, None, PgResult]: ...
    def all(self) -> Awaitable[list[dict[str, Any]]]:
        """As of `PgResult`, like all others here."""

    def one(self) -> Awaitable[dict[str, Any]]: ...
    def one_or_none(self) -> Awaitable[dict[str, Any] | None]: ...
    def first(self) -> Awaitable[dict[str, Any] | None]: ...
    def scalar(self) -> Awaitable[Any]: ...
    def scalars(self) -> Awaitable[list[Any]]: ...
    def json(self) -> Awaitable[bytes]: ...
    def response(self, status_code: int = 200) -> Awaitable[Response]: ...

#: What `COPY ... FROM STDIN` takes: data, a file, or an iterable of data or of rows.
_CopySource = str | Buffer | Iterable[str | Buffer | tuple[Any, ...] | list[Any]]

@final
class PgPool:
    """A pool of connections to PostgreSQL, on a thread of its own, which starts with the first use.

    Args:
        dsn: `postgresql://user:password@host:5432/database?sslmode=require`, or `host=... user=... dbname=...`.
        min_size: Connections that are opened at the start and kept.
        max_size: Connections at most.
        connect_timeout: How long making a connection may take, in seconds.
        checkout_timeout: How long a statement waits for a connection, in seconds.
        statement_timeout: How long a statement may take, in seconds; None for as long as the server allows.
        idle_timeout: After how long an unused connection is closed, where there are more than `min_size`; in seconds.
        statement_cache: Statements that each connection keeps prepared at most.
        max_waiting: Statements at most that run or wait for a connection.
        max_result: The largest result, in bytes as the server sends it.
        application_name: What `pg_stat_activity` shows.

    Raises:
        ValueError: The DSN or a setting cannot be used.
    """

    def __new__(
        cls,
        dsn: str,
        min_size: int = 1,
        max_size: int = 10,
        *,
        connect_timeout: float = 2.0,
        checkout_timeout: float = 1.5,
        statement_timeout: float | None = 30.0,
        idle_timeout: float = 300.0,
        statement_cache: int = 256,
        max_waiting: int = 4096,
        max_result: int = 268_435_456,
        application_name: str = "bimetal",
    ) -> Self: ...
    def open(self) -> None:
        """Start the pool's thread, which opens the first connections; also again after `close`."""

    def close(self, timeout: float = 5.0) -> bool:
        """Close every connection, after what runs has ended or `timeout` seconds have passed; whether it has ended."""

    def aclose(self, timeout: float = 5.0) -> Awaitable[bool]:
        """The same, awaited."""

    def stats(self) -> dict[str, int]:
        """`max_size`, `size`, `idle` and `waiting` of the connections, `running` statements."""

    def exec(self, sql: str, /, *args: Any) -> PgResult:
        """Run a statement with `$1`, `$2`, ... and wait for its result; other threads have the interpreter meanwhile.

        Raises the errors of `bimetal.pg`.
        """

    def aexec(self, sql: str, /, *args: Any) -> PgQuery:
        """A statement to be awaited: `await pool.aexec(...)`, `await pool.aexec(...).one()`."""

    def transaction(
        self, *, isolation: str | None = None, read_only: bool = False, deferrable: bool = False
    ) -> PgTransaction:
        """A transaction, for `with` and `async with`.

        Args:
            isolation: "serializable", "repeatable read" or "read committed"; None for the server's default.
            read_only: It changes nothing.
            deferrable: It waits until nothing can disturb it; with "serializable" and `read_only`.
        """

    def copy_in(self, sql: str, source: _CopySource) -> int:
        """`COPY ... FROM STDIN`; how many rows there were. Rows (tuples, lists) are written in COPY's text format."""

    async def acopy_in(self, sql: str, source: _CopySource | AsyncIterable[Any]) -> int:
        """The same, awaited."""

    def copy_out(self, sql: str) -> PgCopyOut:
        """`COPY ... TO STDOUT`, as an iterable of bytes, for `for` and `async for`."""

    def __enter__(self) -> Self: ...
    def __exit__(self, _kind: object, _value: object, _traceback: object) -> None: ...

@final
class PgTransaction:
    """A transaction, or a savepoint within one. Left, it is committed, or by an exception rolled back."""

    def exec(self, sql: str, /, *args: Any) -> PgResult:
        """As of `PgPool`, like all others here."""

    def aexec(self, sql: str, /, *args: Any) -> PgQuery: ...
    def transaction(self) -> PgTransaction:
        """A savepoint within it, for `with` and `async with`."""

    def copy_in(self, sql: str, source: _CopySource) -> int: ...
    async def acopy_in(self, sql: str, source: _CopySource | AsyncIterable[Any]) -> int: ...
    def copy_out(self, sql: str) -> PgCopyOut: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, _value: object, _traceback: object) -> bool: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, kind: object, _value: object, _traceback: object) -> Awaitable[bool]: ...

@final
class PgCopyIn:
    """What the coroutine of `acopy_in` writes to."""

    def begin(self) -> None:
        """Begin it."""

    def add(self, item: Any) -> bool:
        """Take an item; whether it is time to flush."""

    def fill(self, items: Iterator[Any]) -> bool:
        """Take items until it is time to flush; whether there may be more."""

    def flush(self) -> Awaitable[bool]:
        """Send what was taken; False where the copy has ended already."""

    def finish(self) -> Awaitable[int]:
        """End it; how many rows there were."""

    def abort(self) -> None:
        """Undo it."""

@final
class PgCopyOut:
    """`COPY ... TO STDOUT`, in chunks of about 64 KiB. Given up before its end, the statement is cancelled."""

    def read(self) -> bytes:
        """All that is left of it."""

    def aread(self) -> Awaitable[bytes]:
        """The same, awaited."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Awaitable[bytes]: ...

def pg_forked() -> None:
    """Called in the child, when the process has been forked."""
