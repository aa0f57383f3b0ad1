"""Requests are attributed to the plans and lanes that the engine answers them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from bimetal.compile import reason
from bimetal.compile.plan import RoutePlan, StepPlan
from bimetal.testing import TestClient
from conformance import plugin
from conformance.report import Run, as_text, grouped, reasons, share, unattributed
from conformance.traffic import Traffic
from conformance.verdict import judge

STEPS = (StepPlan(call=len, kind="function", dependant=None),)


class StandInServer:
    """What is asked of a server: its plans and its counters."""

    def __init__(self) -> None:
        self.plans = [
            RoutePlan("/items/{n}", ("GET",), "sync", "app.item", steps=STEPS),
            RoutePlan("/items/{n}", ("PUT",), "async", "app.put_item", steps=STEPS),
            RoutePlan("/hot", (), "native", "hot"),
            RoutePlan("/raw/{path:path}", ("GET",), "asgi", "app.raw", "route class Mine"),
            RoutePlan("/docs", ("GET",), "asgi", "fastapi.applications.swagger_ui_html", "some reason"),
            RoutePlan("/files/{path:path}", (), "asgi", "StaticFiles", "mounted application"),
        ]
        self.requests = {"native": 0, "sync": 0, "async": 0, "asgi": 0}

    def stats(self) -> dict[str, Any]:
        return {"requests": self.requests}


def attributed(traffic: Traffic) -> set[tuple[str, str, bool, str]]:
    return {(served.kind, served.lane, served.by_fastapi, served.reason) for served in traffic.requests}


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/items/1", 200, ("operation", "sync", False, "")),
        ("PUT", "/items/1", 200, ("operation", "async", False, "")),
        ("POST", "/hot", 200, ("operation", "native", False, "")),
        ("GET", "/raw/a/b", 200, ("operation", "asgi", False, "route class Mine")),
        ("GET", "/docs", 200, ("other", "asgi", False, "some reason")),
        ("GET", "/files/x.css", 200, ("other", "asgi", False, "mounted application")),
        ("GET", "/none", 404, ("unrouted", "asgi", False, "path that no plan has: answered 404")),
        ("DELETE", "/items/1", 405, ("unrouted", "asgi", False, "method that no plan of this path has: answered 405")),
        ("GET", "/none", None, ("unrouted", "asgi", False, "path that no plan has: failed")),
    ],
)
def test_the_plan_of_a_request(
    method: str, path: str, status: int | None, expected: tuple[str, str, bool, str]
) -> None:
    traffic, server = Traffic(), StandInServer()
    traffic.end(traffic.begin(server, method, path, "test"), status)
    assert attributed(traffic) == {expected}
    assert traffic.tests == {"test"}


def test_plans_that_change_are_read_again() -> None:
    traffic, server = Traffic(), StandInServer()
    traffic.end(traffic.begin(server, "GET", "/hot", "test"), 200)
    server.plans = server.plans[:2]
    traffic.end(traffic.begin(server, "GET", "/hot", "test"), 404)
    assert [(served.kind, count) for served, count in traffic.requests.items()] == [("operation", 1), ("unrouted", 1)]


def test_a_plan_without_steps_is_fastapis_own_handler() -> None:
    traffic, server = Traffic(), StandInServer()
    server.plans.append(RoutePlan("/stream", ("GET",), "async", "app.stream", "streams its response"))
    traffic.end(traffic.begin(server, "GET", "/stream", "test"), 200)
    assert attributed(traffic) == {("operation", "async", True, "streams its response")}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> plugin.Results:
    results = plugin.Results()
    results.test = "tests/x.py::test"
    monkeypatch.setattr(plugin, "results", results)
    return results


def run_of(results: plugin.Results, tmp_path: Path) -> Run:
    results.write(tmp_path / "0.json")
    return Run.read([tmp_path / "0.json", tmp_path / "crashed.json"])


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{n}")
    async def item(n: int) -> int:
        return n

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return app


def test_the_engine_counts_the_same(results: plugin.Results, tmp_path: Path) -> None:
    client = TestClient(make_app())
    for path, status in [("/items/1", 200), ("/items/x", 422), ("/openapi.json", 200), ("/none", 404)]:
        assert client.get(path).status_code == status
    with client.websocket_connect("/ws"):
        pass
    client.close()
    run = run_of(results, tmp_path)
    assert sum(row["count"] for row in run.requests) == 5
    assert share(run.requests, ["operation"]).total == 2
    assert share(run.requests, ["websocket"]).lanes == {"asgi": 1}
    assert unattributed(run) == {}
    assert {row["example"] for row in run.requests} == {"tests/x.py::test"}
    assert "The engines counted differently" not in as_text("1.0", run, judge(["a"], {"a": "passed"}, {}), {})


def test_a_request_that_the_plugin_has_missed_shows(results: plugin.Results, tmp_path: Path) -> None:
    with TestClient(make_app()) as client:
        client.get("/items/1")
    results.traffic.requests.clear()
    run = run_of(results, tmp_path)
    assert unattributed(run) == {"async": 1}
    assert "The engines counted differently: async +1" in as_text("1.0", run, judge(["a"], {"a": "passed"}, {}), {})


def test_requests_past_bimetal_are_counted(results: plugin.Results) -> None:
    import anyio

    from bimetal.testing.http import httpx

    async def get() -> Any:
        transport = httpx.ASGITransport(app=make_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/items/1")).json()

    assert anyio.run(get) == 1
    assert results.in_process == {"httpx.ASGITransport": 1}


def test_the_share_that_is_compiled() -> None:
    row = {"kind": "operation", "by_fastapi": False, "reason": ""}
    rows = [
        {**row, "lane": "sync", "count": 5},
        {**row, "lane": "native", "count": 1},
        {**row, "lane": "async", "count": 2, "by_fastapi": True, "reason": "did not fit"},
        {**row, "lane": "asgi", "count": 2, "reason": "why"},
        {**row, "lane": "asgi", "count": 9, "kind": "other", "reason": "page"},
    ]
    operations = share(rows, ["operation"])
    assert (operations.total, operations.compiled) == (10, 60)
    assert [(entry["count"], entry["reason"]) for entry in reasons([{**r, "example": "t"} for r in rows])] == [
        (9, "page"),
        (2, "did not fit"),
        (2, "why"),
    ]


def test_alike_reasons_are_one() -> None:
    rows = [
        {"kind": "operation", "reason": reason.OWN_HANDLER(route_class="A"), "count": 2},
        {"kind": "operation", "reason": reason.OWN_HANDLER(route_class="B"), "count": 3},
        {"kind": "operation", "reason": reason.CONVERTOR(name="n"), "count": 4},
        {"kind": "unrouted", "reason": "path that no plan has: answered 404", "count": 1},
    ]
    assert grouped(rows) == [
        (5, "operation", "ROUTE_CLASS.get_route_handler makes the route's handler"),
        (4, "operation", "path parameter 'NAME' has a convertor of the application's own"),
        (1, "unrouted", "path that no plan has: answered 404"),
    ]


def test_processes_share_the_tests_by_file() -> None:
    tests = [f"tests/{file}.py::test_{n}" for file in "abcde" for n in range(ord(file) - 90)]
    shares = [plugin._share(tests, number, 3) for number in range(3)]
    assert sorted(test for share in shares for test in share) == sorted(tests)
    files = [{test.partition("::")[0] for test in share} for share in shares]
    assert sum(map(len, files)) == 5
    assert all(files)


def test_the_results_are_json(results: plugin.Results, tmp_path: Path) -> None:
    results.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["outcomes"] == {}
