"""The response cache: what a route asks of it (`Cache`), and what an application can do with it (`ResponseCache`)."""

from __future__ import annotations

import re
import string
import threading
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from starlette.routing import compile_path

from bimetal.binding import copy_of

if TYPE_CHECKING:
    from bimetal._core import Engine
    from bimetal.compile import RoutePlan

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__bimetal_cache__"

#: What a header field, and a cookie, can be called (RFC 9110).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: Longer times than any cache is kept; they would not fit the clock.
_LONGEST = 10 * 365 * 86400.0

#: Statuses that are no whole answer of their own.
_PARTIAL = (206, 304)


@dataclass(frozen=True)
class Cache:
    """What a route asks of the response cache. Of an integer or a float, `cache=30`, only `ttl` is set.

    Kept are whole answers to GET whose status is in `statuses`, that set no cookie, and whose `Cache-Control` forbids
    nothing. Requests with `Authorization` or cookies call the handler, unless `vary`, `cookies` or `ignore` say of
    these what they mean for the answer.

    Args:
        ttl: How long an answer is fresh, in seconds. Where the answer says less itself (`max-age`, `s-maxage`,
            `Expires`), that counts.
        vary: Request headers that the answer depends on.
        cookies: Cookies that the answer depends on.
        query: Query parameters that the answer depends on; None takes the whole query, as it is sent.
        stale_while_revalidate: How long after that a stale answer is given at once, in seconds, while one request in
            the background makes it anew.
        stale_if_error: How long after `ttl` a stale answer is given where the handler fails (5xx), in seconds.
        tags: Names by which answers can be made invalid; `{user_id}` stands for the path parameter of that name.
        statuses: The status codes of answers that are kept.
        max_size: The largest body that is kept, in bytes.
        wait: How long a request waits for one that has called the handler already, in seconds; then it calls it itself.
        ignore: `"authorization"`, `"cookie"`: the answer is the same for requests with and without it.
        honour_requests: `Cache-Control` of requests counts (`no-cache`, `no-store`, `max-age`, `only-if-cached`); by
            default it does not, as RFC 9111 allows, since every client could have the handler called by it.
        status_header: Say in `Cache-Status` (RFC 9211) what became of a request.
        bypass: What answers from the cache may leave out: middleware, dependencies, security, parameters that are not
            part of what tells answers apart, as `"middleware:Name"` or `"Name"`.

    Raises:
        TypeError, ValueError: An argument is not what it should be; the text names it.

    Example:
        ```python
        @app.get("/config", cache=Cache(ttl=30, vary=["accept-language"], stale_while_revalidate=60))
        def config(accept_language: Annotated[str, Header()] = "en"):
            return load_config(accept_language)
        ```
    """

    ttl: float
    _: KW_ONLY
    vary: Sequence[str] = ()
    cookies: Sequence[str] = ()
    query: Sequence[str] | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    tags: Sequence[str] = ()
    statuses: Sequence[int] = (200,)
    max_size: int = 1024 * 1024
    wait: float = 5.0
    ignore: Sequence[Literal["authorization", "cookie"]] = ()
    honour_requests: bool = False
    status_header: bool = False
    bypass: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("ttl", "stale_while_revalidate", "stale_if_error", "wait"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))
        if self.ttl == 0:
            raise ValueError("ttl=0 keeps nothing: leave the cache out")
        for name in ("vary", "cookies", "tags", "ignore", "bypass"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        if self.query is not None:
            object.__setattr__(self, "query", _texts("query", self.query))
        object.__setattr__(self, "vary", tuple(name.lower() for name in self.vary))
        for name in ("vary", "cookies"):
            for text in getattr(self, name):
                if not _TOKEN.fullmatch(text):
                    raise ValueError(f"{name}: {text!r} is no name of a {'header' if name == 'vary' else 'cookie'}")
        for text in self.ignore:
            if text not in ("authorization", "cookie"):
                raise ValueError(f'ignore: {text!r} is unknown; use "authorization" or "cookie"')
        statuses = tuple(self.statuses)
        for status in statuses:
            if not isinstance(status, int) or not 200 <= status <= 499 or status in _PARTIAL:
                raise ValueError(f"statuses: {status!r} is no status of a whole answer that can be kept")
        object.__setattr__(self, "statuses", statuses)
        if isinstance(self.max_size, bool) or not isinstance(self.max_size, int) or self.max_size < 0:
            raise ValueError(f"max_size={self.max_size!r} is no number of bytes")
        for tag in self.tags:
            tag_parts(tag)


def tag_parts(tag: str) -> tuple[tuple[bool, str], ...]:
    """A tag as pairs: whether it is a path parameter, and its name or the text. Raises ValueError."""
    parts: list[tuple[bool, str]] = []
    try:
        for text, name, form, conversion in string.Formatter().parse(tag):
            if text:
                parts.append((False, text))
            if name is not None:
                if not name.isidentifier() or form or conversion:
                    raise ValueError("only the name of a path parameter can stand in braces")
                parts.append((True, name))
    except ValueError as error:
        raise ValueError(f"tags: {tag!r}: {error}") from None
    return tuple(parts)


def as_cache(cache: Cache | float) -> Cache:
    """What was given as `cache=`. Raises TypeError for a value of another kind."""
    if isinstance(cache, Cache):
        return cache
    if isinstance(cache, bool) or not isinstance(cache, int | float):
        raise TypeError(f"cache must be a Cache or a time in seconds, not {cache!r}")
    return Cache(cache)


def cached(cache: Cache | float) -> Callable[[F], F]:
    """Give a function's route a cache, under any decorator of plain FastAPI.

    Under any other server the function runs for each request.

    Args:
        cache: A `Cache`, or how long an answer is fresh, in seconds.

    Example:
        ```python
        from fastapi import FastAPI
        import bimetal

        app = FastAPI()

        @app.get("/config")
        @bimetal.cached(30)
        def config():
            return load_config()
        ```
    """
    made = as_cache(cache)

    def mark(function: F) -> F:
        if not hasattr(function, "__dict__"):
            raise TypeError(f"cached() is for functions, not for a {type(function).__name__}")
        function.__dict__[_MARK] = made
        return function

    return mark


def with_cache(function: Any, cache: Cache | float) -> Any:
    """A copy of the function, whose route has this cache: the mark stays with the one route.

    Raises TypeError for what is no function.
    """
    made = as_cache(cache)
    if isinstance(function, types.MethodType):
        return types.MethodType(with_cache(function.__func__, made), function.__self__)
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"cache= is for functions written with def, not for a {type(function).__name__}")
    copy = copy_of(function)
    copy.__dict__[_MARK] = made
    return copy


def cache_of(function: Any) -> Cache | None:
    """What a route's function asks of the cache; None where it has none."""
    while function is not None:
        found = getattr(function, _MARK, None)
        if isinstance(found, Cache):
            return found
        function = getattr(function, "__wrapped__", None)
    return None


class _Served(NamedTuple):
    """A server of the application in this process."""

    engine: Engine
    root_path: str
    names: frozenset[str]
    #: Matches the paths of cached routes.
    patterns: tuple[re.Pattern[str], ...]


class ResponseCache:
    """What is cached of an application: `app.cache`, or `Server.cache`.

    It acts on all servers of the application in this process, from any thread, in `def` and `async def` handlers alike,
    and never waits for a handler. With worker processes what is made invalid is so in all of them: in this one when
    the call returns, in the others a moment later. Answers and figures are each process's own.

    Example:
        ```python
        @app.put("/users/{user_id}")
        def change(user_id: int, user: User):
            save(user_id, user)
            app.cache.invalidate(f"/users/{user_id}")
        ```
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: tuple[_Served, ...] = ()

    def invalidate(self, path: str | None = None, *, name: str | None = None, tag: str | None = None) -> bool:
        """Make answers invalid: what is asked for from now on is made anew, also where a handler is at work on it.

        Args:
            path: A path as clients ask for it, decoded and without the query: `"/users/7"`, for all of its answers; or
                a route's, `"/users/{user_id}"`, for those of all its paths.
            name: The name of a route: that of its function, or `name=` of the route.
            tag: One of the tags of `Cache`, filled in: `"user:7"`.

        Returns:
            Whether a cached route that is served here has the path, the name; always true for a tag.

        Raises:
            TypeError: Not exactly one of the three was given.
            LookupError: No cached route that is served has this name.
            BimetalError: The other worker processes could not be told.

        Example:
            ```python
            app.cache.invalidate("/config")
            app.cache.invalidate(name="get_user")
            app.cache.invalidate(tag="users")
            ```
        """
        targets: tuple[tuple[Literal["path", "name", "tag"], str | None], ...]
        targets = (("path", path), ("name", name), ("tag", tag))
        given = [(kind, text) for kind, text in targets if text is not None]
        if len(given) != 1 or not isinstance(given[0][1], str):
            raise TypeError("invalidate() takes one of path, name= and tag=, a str")
        [(kind, text)] = given
        served = self._served
        if name is not None and served and not any(name in server.names for server in served):
            known = ", ".join(sorted({known for server in served for known in server.names})) or "none"
            raise LookupError(f"no cached route has the name {name!r}; known are {known}")
        found = kind != "path"
        for server in served:
            if kind != "path":
                server.engine.invalidate(kind, text)
                continue
            found = found or any(pattern.match(text) for pattern in server.patterns)
            for whole in dict.fromkeys((text, server.root_path + text)):
                server.engine.invalidate("path", whole)
            if "{" in text:
                server.engine.invalidate("pattern", text)
        return found and bool(served)

    def clear(self) -> None:
        """Make all answers invalid, and free their memory.

        Example:
            ```python
            app.cache.clear()
            ```
        """
        for server in self._served:
            server.engine.invalidate("all", "")

    def stats(self) -> dict[str, Any]:
        """What is kept and has been counted, by the servers of this process.

        `{"entries": 2, "bytes": 1840, "max_bytes": 67108864, "evicted": 0, "routes": {"/config": {"hit": 9, "stale": 0,
        "collapsed": 0, "miss": 1, "bypass": 0, "stored": 1, "unfit": 0, "failed": 0, "renewal": 0}}}`

        A request is one of: `hit` (fresh), `stale`, `collapsed` (has waited for another one's answer), `miss` (called
        the handler), `bypass` (is none for the cache). An answer of the handler is `stored`, `unfit` for others, or
        `failed` (5xx). `renewal` counts those begun in the background. `/metrics` has the same, of all workers.

        Example:
            ```python
            print(app.cache.stats()["routes"]["/config"]["hit"])
            ```
        """
        total: dict[str, Any] = {"entries": 0, "bytes": 0, "max_bytes": 0, "evicted": 0, "routes": {}}
        for server in self._served:
            stats = server.engine.cache_stats()
            for figure in ("entries", "bytes", "max_bytes", "evicted"):
                total[figure] += stats[figure]
            for path, counts in stats["routes"].items():
                sums = total["routes"].setdefault(path, {})
                for result, count in counts.items():
                    sums[result] = sums.get(result, 0) + count
        return total

    def begin(self, engine: Engine, root_path: str, plans: Iterable[RoutePlan]) -> None:
        """For `Server`: these routes are served by `engine`."""
        caches = [plan.cache for plan in plans if plan.cache is not None]
        patterns = tuple(compile_path(pattern)[0] for pattern in dict.fromkeys(cache.pattern for cache in caches))
        served = _Served(engine, root_path, frozenset(cache.name for cache in caches), patterns)
        with self._lock:
            self._served = (*(known for known in self._served if known.engine is not engine), served)

    def end(self, engine: Engine) -> None:
        """For `Server`: nothing is served by `engine` any more."""
        with self._lock:
            self._served = tuple(known for known in self._served if known.engine is not engine)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a time in seconds, not {value!r}")
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{name}={value!r} is no time from 0 seconds to 10 years")
    return float(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of texts, not {value!r}")
    texts = tuple(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise TypeError(f"{name} must be a list of texts; {text!r} is none")
    return texts
