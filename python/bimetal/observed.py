"""What a running server has observed of its routes, read from its metrics: where their time goes.

The figures are those of one process, since its start.
"""

from __future__ import annotations

import math
import re
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from bimetal._core import gains
from bimetal.compile import RoutePlan
from bimetal.errors import BimetalError
from bimetal.table import print_columns

#: For an answer of the server, in seconds.
_TIMEOUT = 10.0

_HEADERS = ("METHOD", "PATH", "LANE", "REQUESTS", "OUTSIDE", "INSIDE", "P50", "P99", "GAIN FROM RUST")

#: The phases that are no handler.
_OUTSIDE = ("queue", "interpreter_wait", "serialise")

_SAMPLE = re.compile(r"^(bimetal_\w+)\{(.*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


@dataclass
class Observed:
    """One route and method, since the server's start; times in seconds."""

    path: str
    method: str
    lane: str
    #: The Python function or native handler; None where the application has no such route.
    handler: str | None = None
    #: By class: `2xx`; `none` where the client went away first.
    status: dict[str, int] = field(default_factory=dict)
    #: The total of each phase that the lane has: queue, interpreter_wait, handler, serialise.
    phases: dict[str, float] = field(default_factory=dict)
    #: Seconds for which the handler's thread was on a core, and the number of requests for which that was measured.
    measured: tuple[float, int] = (0.0, 0)
    #: How many requests took at most so long.
    buckets: dict[float, int] = field(default_factory=dict)
    #: Why it would gain from Rust; None where it would not.
    gain: str | None = None

    @property
    def requests(self) -> int:
        return sum(self.status.values())

    @property
    def outside(self) -> float:
        """Before the handler began and after it had its result."""
        return sum(self.phases.get(phase, 0.0) for phase in _OUTSIDE)

    @property
    def inside(self) -> float:
        """In the handler."""
        return self.phases.get("handler", 0.0)

    @property
    def computed(self) -> float:
        """In the handler, with its thread on a core: estimated from the requests for which that was measured."""
        seconds, count = self.measured
        return seconds / count * self.requests if count else 0.0

    def quantile(self, share: float) -> float | None:
        """What this share of the requests took at most, as Prometheus' `histogram_quantile` has it."""
        rank, below, count_below = share * self.requests, 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank and count > count_below:
                if math.isinf(bound):
                    break
                return below + (bound - below) * (rank - count_below) / (count - count_below)
            below, count_below = bound, count
        finite = [bound for bound in self.buckets if not math.isinf(bound)]
        return max(finite) if finite and self.requests else None


def observe(url: str, plans: Sequence[RoutePlan]) -> list[Observed]:
    """What the server at `url` has observed, by the time spent.

    `url` is that of a route with the native handler `metrics`, or the server's own: then it is `/metrics` there. Raises
    BimetalError where no such figures can be read.
    """
    url = _metrics_url(url)
    routes = _read(_fetch(url))
    if not routes:
        raise BimetalError(f"{url} has no figures about routes yet: send requests first")
    handlers = {
        (plan.path, method, plan.lane): plan.native or plan.name
        for plan in reversed(plans)
        for method in plan.methods or ("*",)
    }
    for route in routes:
        of_route = (route.path, route.method, route.lane), (route.path, "*", route.lane)
        route.handler = next((handlers[key] for key in of_route if key in handlers), None)
    _judge(routes)
    return sorted(routes, key=lambda route: route.outside + route.inside, reverse=True)


def as_json(routes: Sequence[Observed]) -> list[dict[str, Any]]:
    """The routes for programs, by the time spent.

    Each is `{"path": str, "method": str, "lane": str, "handler": str or null, "requests": int, "status": {"2xx": int},
    "outside": float, "inside": float, "computed": float, "phases": {"queue": float}, "p50": float, "p99": float,
    "gain": str or null}`, times in seconds.
    """
    return [
        {
            "path": route.path,
            "method": route.method,
            "lane": route.lane,
            "handler": route.handler,
            "requests": route.requests,
            "status": route.status,
            "outside": route.outside,
            "inside": route.inside,
            "computed": route.computed,
            "phases": route.phases,
            "p50": route.quantile(0.5),
            "p99": route.quantile(0.99),
            "gain": route.gain,
        }
        for route in routes
    ]


def print_observed(routes: Sequence[Observed], file: IO[str] | None = None) -> None:
    """Print the routes as plain columns."""
    rows = [
        (
            route.method,
            route.path,
            route.lane,
            str(route.requests),
            _time(route.outside),
            _time(route.inside),
            _time(route.quantile(0.5)),
            _time(route.quantile(0.99)),
            route.gain or "",
        )
        for route in routes
    ]
    print_columns([_HEADERS, *rows], sys.stdout if file is None else file)


def _judge(routes: Sequence[Observed]) -> None:
    """Names the routes on Python lanes that would gain most."""
    spent = [(route.lane == "native", route.requests, route.outside, route.inside, route.computed) for route in routes]
    for route, gain in zip(routes, gains(spent), strict=True):
        route.gain = gain


def _metrics_url(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BimetalError(f"{url!r} is not the address of a server, like http://127.0.0.1:8000")
    return urlunsplit(parts._replace(path="/metrics" if parts.path in ("", "/") else parts.path))


def _fetch(url: str) -> str:
    mount = "serve it there with the native handler `metrics`, for instance by --native /metrics=metrics"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            text: str = response.read().decode()
    except urllib.error.HTTPError as error:
        raise BimetalError(f"{url} answers {error.code}: {mount}") from None
    except (OSError, ValueError) as error:
        raise BimetalError(f"cannot read {url}: {error}") from None
    if "bimetal_requests_total" not in text:
        raise BimetalError(f"{url} has no metrics of Bimetal: {mount}")
    return text


def _read(text: str) -> list[Observed]:
    routes: dict[tuple[str, str, str], Observed] = {}
    for name, labels, value in _samples(text):
        if "route" not in labels:
            continue
        path, method, lane = key = labels["route"], labels["method"], labels["lane"]
        route = routes.setdefault(key, Observed(path, method, lane, buckets=defaultdict(int)))
        if name == "bimetal_request_duration_seconds_count":
            route.status[labels["status"]] = int(value)
        elif name == "bimetal_request_duration_seconds_bucket":
            route.buckets[float(labels["le"])] += int(value)
        elif name == "bimetal_handler_cpu_seconds_sum":
            route.measured = (float(value), route.measured[1])
        elif name == "bimetal_handler_cpu_seconds_count":
            route.measured = (route.measured[0], int(value))
        elif match := re.fullmatch(r"bimetal_(queue|interpreter_wait|handler|serialise)_seconds_sum", name):
            route.phases[match[1]] = float(value)
    return list(routes.values())


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], str]]:
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            labels = {name: _ESCAPE.sub(_unescape, value) for name, value in _LABEL.findall(match[2])}
            yield match[1], labels, match[3]


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} us"
    return f"{seconds * 1_000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
