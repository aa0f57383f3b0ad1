"""The pytest plugin of the conformance run: `-p conformance.plugin`.

Loaded before any test module, it puts Bimetal's test client in the place of FastAPI's and Starlette's, and notes what
every test ended in and every request that was sent. Each process of the run takes its share of the test files and
writes what it has noted into a file of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import warnings
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # Starlette warns when it falls back from httpx2 to httpx.
    warnings.simplefilter("ignore")
    import fastapi.testclient
    import starlette.testclient

import bimetal.testing
import bimetal.testing.transport
import bimetal.testing.websocket
from bimetal.server import Server
from bimetal.testing.http import httpx
from conformance import RESULTS, SHARE
from conformance.traffic import Traffic


class Results:
    """Outcomes of tests, as the suite's own process sees them."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.outcomes: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.collected: list[str] = []
        #: Clients and requests that have gone past Bimetal.
        self.in_process: Counter[str] = Counter()
        self.test = "while collecting"
        #: The clients there are.
        self.clients: weakref.WeakSet[bimetal.testing.TestClient] = weakref.WeakSet()

    def failed(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """A test has failed, or a module could not be imported."""
        self.outcomes[report.nodeid] = "failed"
        self.messages.setdefault(report.nodeid, _message(report))

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        self.traffic.finish()
        requests = [
            {
                "kind": served.kind,
                "lane": served.lane,
                "by_fastapi": served.by_fastapi,
                "reason": served.reason,
                "count": count,
                "example": self.traffic.examples[served],
            }
            for served, count in self.traffic.requests.items()
        ]
        part = {
            "collected": self.collected,
            "outcomes": self.outcomes,
            "messages": self.messages,
            "requests": requests,
            "engine": self.traffic.engine,
            "tests_with_requests": len(self.traffic.tests),
            "in_process": self.in_process,
        }
        file.write_text(json.dumps(part))


results = Results()


def replace_clients() -> None:
    """Put Bimetal's client in the place of the others, and count what still goes past it."""
    original = starlette.testclient.TestClient
    starlette.testclient.TestClient = bimetal.testing.TestClient  # type: ignore[assignment,misc]
    fastapi.testclient.TestClient = bimetal.testing.TestClient  # type: ignore[assignment,misc]
    _before(original, "__init__", lambda *_: results.in_process.update(["starlette.testclient.TestClient"]))
    for name in ("httpx", "httpx2"):
        with contextlib.suppress(ImportError):
            transport = importlib.import_module(name).ASGITransport
            _before(transport, "handle_async_request", lambda *_: results.in_process.update(["httpx.ASGITransport"]))


def observe_requests() -> None:
    """Note every request that a test client sends."""
    transport = bimetal.testing.transport.SocketTransport
    session = bimetal.testing.websocket.WebSocketTestSession
    client = bimetal.testing.TestClient
    handle_request, stop, init = transport.handle_request, Server.stop, client.__init__

    def observed_request(self: Any, request: Any) -> Any:
        server = self._slot.get().server
        sent = results.traffic.begin(server, request.method, request.url.path, results.test)
        try:
            response = handle_request(self, request)
        except httpx.LocalProtocolError:
            raise
        except BaseException:
            results.traffic.end(sent, None)
            raise
        results.traffic.end(sent, response.status_code)
        return response

    def observed_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        results.clients.add(self)

    def observed_stop(self: Server) -> None:
        try:
            stop(self)
        finally:
            results.traffic.ended(self)

    client.__init__ = observed_init  # type: ignore[method-assign]
    transport.handle_request = observed_request  # type: ignore[method-assign]
    Server.stop = observed_stop  # type: ignore[method-assign]
    _before(session, "__enter__", lambda self: results.traffic.websocket(self._get_served().server, results.test))


def _before(owner: Any, name: str, note: Any) -> None:
    method = getattr(owner, name)

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        note(self)
        return method(self, *args, **kwargs)

    setattr(owner, name, noted)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    results.collected = [item.nodeid for item in items]
    number, count = map(int, os.environ[SHARE].split("/"))
    mine = _share([item.nodeid for item in items], number, count)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in mine])
    items[:] = [item for item in items if item.nodeid in mine]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    yield
    if nextitem is None or nextitem.path != item.path:
        # The suite's modules keep their clients for good: without this, hundreds of servers would end up open. A client
        # that is used again starts another.
        for client in list(results.clients):
            client._sockets.close()


def pytest_runtest_logstart(nodeid: str) -> None:
    results.test = nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    before = results.outcomes.get(report.nodeid)
    if report.failed:
        results.failed(report)
    elif report.skipped and before != "failed":
        results.outcomes[report.nodeid] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
    elif report.when == "call" and before is None:
        results.outcomes[report.nodeid] = "passed"


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        results.failed(report)


def pytest_sessionfinish() -> None:
    results.write(Path(os.environ[RESULTS]))


def _share(tests: list[str], number: int, count: int) -> set[str]:
    """The tests of process `number` of `count`: whole files, so that the processes have about as many tests each."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], []).append(test)
    shares: list[list[str]] = [[] for _ in range(count)]
    for file in sorted(files, key=lambda file: (-len(files[file]), file)):
        min(shares, key=len).extend(files[file])
    return set(shares[number])


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return text.strip().partition("\n")[0][:300]


replace_clients()
observe_requests()
