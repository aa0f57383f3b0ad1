"""Rate limits: how many requests of one client are answered in a time.

Example:
    ```python
    from bimetal import Bimetal, RateLimit

    app = Bimetal()
    app.configure_rate_limiting(requests_per_minute=600)

    @app.post("/login", rate_limit="5/minute")
    def login(): ...

    @app.get("/search", rate_limit=RateLimit(100, per="hour", burst=10, key="header:X-API-Key"))
    def search(): ...
    ```
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from bimetal.binding import copy_of

F = TypeVar("F", bound=Callable[..., Any])

#: What a request counts for: the client's address, a header field, or what a function makes of the request.
Key = str | Callable[[Request], str | None]

#: Where the clients' numbers are kept.
Store = Literal["shared", "process"]

#: Header fields that tell clients how they stand.
Headers = Literal["ietf", "x", "both", "none"]

_UNITS = {
    "second": 1,
    "sec": 1,
    "s": 1,
    "minute": 60,
    "min": 60,
    "m": 60,
    "hour": 3600,
    "h": 3600,
    "day": 86400,
    "d": 86400,
}
_RATE = re.compile(r"(\d+)\s*(?:/|\bper\b)\s*(.+)")
_PERIOD = re.compile(r"(\d+)?\s*([a-z]+)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MARK = "__bimetal_rate_limit__"


@dataclass(frozen=True)
class RateLimit:
    """How often a client may ask: so many requests at once, and from then on as many as `requests` in `per` come to.

    Args:
        requests: How many requests a client may make in a period.
        per: The period: `"second"`, `"minute"`, `"hour"`, `"day"`, `"10 seconds"`, or seconds, at most 366 days.
        burst: How many of them at once; all of a period's by default. 1 spaces them evenly.
        key: What is counted by: `"client"` for the client's address as trusted proxies have it, `"header:NAME"`, or a
            `def` function that gets Starlette's `Request`, before middleware and dependencies and without its body, and
            returns a `str`, or None for a request that is not counted. Not for native routes.
        name: What clients are told it is called. Routes whose limits have the same name share them.

    Raises:
        TypeError, ValueError: An argument cannot be meant; the text says which, and what can.

    Example:
        ```python
        RateLimit(100, per="hour", burst=10, key="header:X-API-Key")
        ```
    """

    requests: int
    per: str | float | timedelta = "minute"
    burst: int | None = None
    key: Key = "client"
    name: str | None = None

    def __post_init__(self) -> None:
        _whole("requests", self.requests)
        if self.burst is not None:
            _whole("burst", self.burst)
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ValueError(f"the rate limit's name {self.name!r} may have letters, digits, '.', '_' and '-' only")
        if not 0 < self.period <= 366 * 86400:
            raise ValueError(f"per={self.per!r} is no period of a rate limit: it lies between 0 and 366 days")
        _check_key(self.key)

    @property
    def period(self) -> float:
        """The period in seconds."""
        if isinstance(self.per, timedelta):
            return self.per.total_seconds()
        if isinstance(self.per, str):
            return float(_seconds(self.per))
        return float(self.per)

    @property
    def header(self) -> str | None:
        """The header field that is counted by; None where it is something else."""
        return self.key.partition(":")[2].strip() if isinstance(self.key, str) and self.key != "client" else None

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """A limit from `"10/minute"`, `"100 per hour"` or `"5/10 seconds"`. Raises ValueError for other texts.

        Example:
            ```python
            RateLimit.parse("10/minute") == RateLimit(10, per="minute")
            ```
        """
        match = _RATE.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(f'{text!r} is no rate limit; write it like "10/minute", "100/hour" or "5/10 seconds"')
        return cls(int(match[1]), per=match[2])

    @classmethod
    def of(cls, limit: RateLimit | str) -> RateLimit:
        """The limit itself, or what its text says. Raises TypeError and ValueError."""
        if isinstance(limit, RateLimit):
            return limit
        if isinstance(limit, str):
            return cls.parse(limit)
        raise TypeError(f'{limit!r} is no rate limit; use a text like "10/minute" or a RateLimit')


@dataclass(frozen=True)
class RedisStore:
    """A Redis that keeps the clients' numbers for servers on several machines.

    Args:
        url: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, `unix:///path/to/socket`.
        on_error: What becomes of requests while Redis does not answer: `"open"` holds each machine to the same limits
            by itself, `"closed"` refuses them with 503.
        timeout: How long a request waits for Redis, in seconds, at least 0.002.
        prefix: What Redis' keys begin with: one for each application.
        required: Whether Redis has to answer when the server starts. With False the server starts without it.

    Example:
        ```python
        app.configure_rate_limiting(requests_per_minute=600, store=RedisStore("redis://cache:6379", on_error="closed"))
        ```
    """

    url: str = field(repr=False)
    on_error: Literal["open", "closed"] = "open"
    timeout: float = 0.005
    prefix: str = "bimetal"
    required: bool = True

    def __post_init__(self) -> None:
        if self.on_error not in ("open", "closed"):
            raise ValueError(f'on_error={self.on_error!r} is unknown; use "open" or "closed"')
        if (
            isinstance(self.timeout, bool)
            or not isinstance(self.timeout, int | float)
            or not 0.002 <= self.timeout <= 60
        ):
            raise ValueError(f"timeout={self.timeout!r} is no time to wait for Redis: use 0.002 to 60 seconds")


@dataclass(frozen=True)
class RateLimiting:
    """What `Bimetal.configure_rate_limiting` has been told."""

    enabled: bool = True
    #: For all routes that have none of their own, together.
    limit: RateLimit | None = None
    store: Store | RedisStore = "shared"
    exempt: tuple[str, ...] = ()
    headers: Headers = "ietf"
    max_clients: int = 100_000

    @classmethod
    def of(
        cls,
        enabled: bool,
        limit: RateLimit | None,
        store: str | RedisStore,
        exempt: Sequence[str],
        headers: Headers,
        max_clients: int,
    ) -> RateLimiting:
        """Checked arguments of `Bimetal.configure_rate_limiting`. Raises TypeError and ValueError."""
        if isinstance(exempt, str):
            raise TypeError(f"exempt is a list of paths: exempt=[{exempt!r}]")
        for path in exempt:
            if not path.startswith("/"):
                raise ValueError(
                    f"the exempt path {path!r} has to begin with '/'; a '*' at the end stands for any rest"
                )
        if headers not in ("ietf", "x", "both", "none"):
            raise ValueError(f'headers={headers!r} is unknown; use "ietf", "x", "both" or "none"')
        _whole("max_clients", max_clients)
        if not isinstance(store, RedisStore):
            if not isinstance(store, str):
                raise TypeError(f'store={store!r} is unknown; use "shared", "process", a URL or a RedisStore')
            if store not in ("shared", "process"):
                store = RedisStore(store)
        return cls(bool(enabled), limit, store, tuple(exempt), headers, max_clients)  # type: ignore[arg-type]


def rate_limit(limit: RateLimit | str | Literal[False]) -> Callable[[F], F]:
    """Limit a route, under any decorator of plain FastAPI; with False, exempt it from the application's limit.

    Under any other server than Bimetal it does nothing.

    Args:
        limit: `"10/minute"` or a `RateLimit`.

    Example:
        ```python
        from fastapi import FastAPI
        import bimetal

        app = FastAPI()

        @app.post("/login")
        @bimetal.rate_limit("5/minute")
        def login(): ...
        ```
    """
    checked = _checked(limit)

    def mark(function: F) -> F:
        function.__dict__[_MARK] = checked
        return function

    return mark


def limited(function: Any, limit: RateLimit | str | Literal[False] | None) -> Any:
    """The function to give to FastAPI for a route with this limit: a marked copy, as a function may serve several."""
    if limit is None:
        return function
    checked = _checked(limit)
    copy = copy_of(function)
    copy.__dict__[_MARK] = checked
    return copy


def rate_limit_of(function: Any) -> RateLimit | Literal[False] | None:
    """The limit of a route's function; False where it is exempt, None where nothing is said of it."""
    while function is not None:
        attributes = getattr(function, "__dict__", {})
        if _MARK in attributes:
            mark: RateLimit | Literal[False] = attributes[_MARK]
            return mark
        function = attributes.get("__wrapped__")
    return None


class KeyOf:
    """A key function, as the server calls it: with the scope of a request."""

    def __init__(self, function: Callable[[Request], str | None], app: Any) -> None:
        self.function = function
        self.app = app

    def __call__(self, scope: dict[str, Any]) -> str | None:
        """What the request counts for. Raises TypeError where that is no text."""
        scope["app"] = self.app
        key: object = self.function(Request(scope))
        if key is None or isinstance(key, str):
            return key
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        raise TypeError(
            f"{name} returned {key!r} as the key of a rate limit; return a str, or None for one that is not counted"
        )


def _checked(limit: Any) -> RateLimit | Literal[False]:
    return False if limit is False else RateLimit.of(limit)


def _whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} of a rate limit is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} of a rate limit is less than 1; use False to exempt a route")


def _seconds(period: str) -> int:
    match = _PERIOD.fullmatch(period.strip().lower())
    unit = match and (_UNITS.get(match[2]) or _UNITS.get(match[2].removesuffix("s")))
    if match is None or not unit:
        raise ValueError(f'{period!r} is no period; use "second", "minute", "hour", "day", or one like "10 seconds"')
    return int(match[1] or 1) * unit


def _check_key(key: Any) -> None:
    if inspect.iscoroutinefunction(key) or inspect.iscoroutinefunction(getattr(key, "__call__", None)):  # noqa: B004
        raise TypeError(f"the key of a rate limit is computed by a def function; {key.__qualname__} is async")
    if callable(key) or key == "client":
        return
    if not isinstance(key, str):
        raise TypeError(f'key={key!r} is unknown; use "client", "header:NAME" or a function')
    kind, _, name = key.partition(":")
    if kind != "header" or not _TOKEN.fullmatch(name.strip()):
        raise ValueError(f'key={key!r} is unknown; use "client", "header:NAME" or a function')
