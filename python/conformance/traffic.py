"""Which lane answered each request of the suite, and why.

The engine counts requests by lane, but not by route. The route is found here instead: the first plan of the server that
takes the request's method and path, which is the engine's own rule. The sums are held against the engine's own: see
`Traffic.engine`.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field

from starlette.routing import compile_path

from bimetal.compile.plan import RoutePlan
from bimetal.compile.reason import MOUNTED, STARLETTE_ROUTE
from bimetal.server import Server

#: Reasons of plans that are no path operations.
_NO_OPERATION = (STARLETTE_ROUTE(), MOUNTED())
#: Where the handlers of FastAPI's documentation pages are defined, and the class of mounted FastAPI applications.
_FASTAPI = "fastapi.applications."


@dataclass(frozen=True)
class Served:
    """What is known of one request: one row of the report for each different value."""

    #: `operation`, `other` (documentation, mounts, plain routes), `unrouted` (what no plan takes: 404, 405, redirects,
    #: frontend files, other applications) or `websocket`.
    kind: str
    lane: str
    #: Whether FastAPI's own request handler makes the calls on the lane: the plan has no steps.
    by_fastapi: bool
    reason: str


@dataclass(frozen=True)
class Sent:
    """A request on its way."""

    server: Server
    test: str
    #: What takes it; without a plan, why not.
    plan: RoutePlan | None
    reason: str


@dataclass
class _Observed:
    """What is noted about one server."""

    plans: list[RoutePlan] | None = None
    patterns: list[re.Pattern[str]] = field(default_factory=list)
    totalled: bool = False


class Traffic:
    """Everything the suite's clients have sent to Bimetal servers of this process."""

    def __init__(self) -> None:
        #: Requests as they were attributed, and one test that sent such a request.
        self.requests: Counter[Served] = Counter()
        self.examples: dict[Served, str] = {}
        #: The engines' own counters: requests by lane (WebSockets among `asgi`).
        self.engine: Counter[str] = Counter()
        #: Tests that have sent at least one request to a Bimetal server.
        self.tests: set[str] = set()
        self._servers: weakref.WeakKeyDictionary[Server, _Observed] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def begin(self, server: Server, method: str, path: str, test: str) -> Sent:
        """A request is about to be sent."""
        with self._lock:
            observed = self._servers.setdefault(server, _Observed())
            plan, reason = _find(server, observed, method, path)
            return Sent(server, test, plan, reason)

    def end(self, sent: Sent, status: int | None) -> None:
        """The head of its response is here, with this status; None when it failed before."""
        with self._lock:
            self._count(_served(sent, status), sent.test)

    def websocket(self, server: Server, test: str) -> None:
        """A WebSocket session begins."""
        with self._lock:
            self._servers.setdefault(server, _Observed())
            self._count(Served("websocket", "asgi", False, "WebSocket"), test)

    def ended(self, server: Server) -> None:
        """A server has stopped: its counters are final."""
        with self._lock:
            observed = self._servers.get(server)
            if observed is None or observed.totalled:
                return
            observed.totalled = True
            self.engine.update(server.stats()["requests"])

    def finish(self) -> None:
        """Take in the counters of the servers that still run."""
        for server in list(self._servers):
            self.ended(server)

    def _count(self, served: Served, test: str) -> None:
        self.requests[served] += 1
        self.examples.setdefault(served, test)
        self.tests.add(test)


def _find(server: Server, observed: _Observed, method: str, path: str) -> tuple[RoutePlan | None, str]:
    if observed.plans is not server.plans:
        observed.plans = server.plans
        observed.patterns = [compile_path(plan.path)[0] for plan in server.plans]
    if not server.plans:
        return None, "application of another framework, or without routes"
    path_exists = False
    for plan, pattern in zip(server.plans, observed.patterns, strict=True):
        if pattern.match(path):
            if not plan.methods or method in plan.methods:
                return plan, ""
            path_exists = True
    return None, "method that no plan of this path has" if path_exists else "path that no plan has"


def _served(sent: Sent, status: int | None) -> Served:
    if sent.plan is None:
        answered = "failed" if status is None else f"answered {status}"
        return Served("unrouted", "asgi", False, f"{sent.reason}: {answered}")
    plan = sent.plan
    other = plan.name.startswith(_FASTAPI) or plan.reason in _NO_OPERATION
    by_fastapi = plan.lane in ("sync", "async") and not plan.steps
    return Served("other" if other else "operation", plan.lane, by_fastapi, plan.reason or "")
