"""Which lane answered each request of the suite, and why.

The engine counts requests by lane, and the requests that a compiled route handed over to the application (`rerouted`),
but not by route. The route is found here instead: the first plan of the server that takes the request's method and
path, which is the engine's own rule. A request counts as rerouted when the engine's counter went up between its start
and its response. Where requests of one server overlap that proves nothing, and they count as not rerouted.

The sums are held against the engine's own: see `Traffic.engine`.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field

from starlette.routing import compile_path

from bimetal.compile.plan import RoutePlan
from bimetal.server import Server

#: Reasons of plans that are no path operations.
_NO_OPERATION = ("Starlette route that takes the Request", "mounted application")
#: Where the handlers of FastAPI's documentation pages are defined, and the class of mounted FastAPI applications.
_FASTAPI = "fastapi.applications."


@dataclass(frozen=True)
class Served:
    """What is known of one request: one row of the report for each different value."""

    #: `operation`, `other` (documentation, mounts, plain routes), `unrouted` (what no plan takes: 404, 405, redirects,
    #: frontend files, other applications) or `websocket`.
    kind: str
    lane: str
    rerouted: bool
    reason: str


@dataclass(frozen=True)
class Sent:
    """A request on its way."""

    server: Server
    test: str
    #: What takes it; without a plan, why not.
    plan: RoutePlan | None
    reason: str
    #: Whether no other request of the server was on its way when it began.
    alone: bool
    #: How many requests of the server had begun, with this one.
    number: int
    #: The engine's counter when it began.
    rerouted_before: int


@dataclass
class _Observed:
    """What is noted about one server."""

    plans: list[RoutePlan] | None = None
    patterns: list[re.Pattern[str]] = field(default_factory=list)
    #: Requests on their way, and how many there have been.
    open: int = 0
    begun: int = 0
    totalled: bool = False


class Traffic:
    """Everything the suite's clients have sent to Bimetal servers of this process."""

    def __init__(self) -> None:
        #: Requests as they were attributed, and one test that sent such a request.
        self.requests: Counter[Served] = Counter()
        self.examples: dict[Served, str] = {}
        #: The engines' own counters: requests by lane (WebSockets among `asgi`), and `rerouted`.
        self.engine: Counter[str] = Counter()
        #: Tests that have sent at least one request to a Bimetal server.
        self.tests: set[str] = set()
        self._servers: weakref.WeakKeyDictionary[Server, _Observed] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def begin(self, server: Server, method: str, path: str, test: str) -> Sent:
        """A request is about to be sent."""
        with self._lock:
            observed = self._servers.setdefault(server, _Observed())
            observed.open += 1
            observed.begun += 1
            plan, reason = _find(server, observed, method, path)
            alone = observed.open == 1
            return Sent(server, test, plan, reason, alone, observed.begun, _rerouted(server))

    def end(self, sent: Sent, status: int | None) -> None:
        """The head of its response is here, with this status; None when it failed before."""
        with self._lock:
            observed = self._servers[sent.server]
            observed.open -= 1
            alone = sent.alone and observed.begun == sent.number
            rerouted = alone and _rerouted(sent.server) > sent.rerouted_before
            self._count(_served(sent, rerouted, status), sent.test)

    def drop(self, sent: Sent) -> None:
        """The client has refused to send it."""
        with self._lock:
            self._servers[sent.server].open -= 1

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
            stats = server.stats()
            self.engine.update(stats["requests"])
            self.engine["rerouted"] += stats["rerouted"]

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


def _served(sent: Sent, rerouted: bool, status: int | None) -> Served:
    answered = "failed" if status is None else f"answered {status}"
    if sent.plan is None:
        return Served("unrouted", "asgi", False, f"{sent.reason}: {answered}")
    other = sent.plan.name.startswith(_FASTAPI) or sent.plan.reason in _NO_OPERATION
    kind = "other" if other else "operation"
    if rerouted:
        return Served(kind, sent.plan.lane, True, f"the request did not fit the compiled route: {answered}")
    return Served(kind, sent.plan.lane, False, sent.plan.reason or "")


def _rerouted(server: Server) -> int:
    return int(server.stats()["rerouted"])
