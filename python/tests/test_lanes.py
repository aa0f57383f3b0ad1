"""Compiled routes give the bytes FastAPI gives, and they really run on their lanes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import lane_cases
from harness.compare import Case, Pair
from harness.servers import REFERENCE_ONLY, run_bimetal
from harness.wire import get, request

APP = "lanes:app"


@pytest.fixture(params=["sync", "async"])
def lane(request: pytest.FixtureRequest) -> str:
    lane: str = request.param
    return lane


def check(pair: Pair, lane: str, case: Case) -> None:
    pair.same(case.method, f"/{lane}{case.target}", case.headers, case.body)


@pytest.mark.parametrize("case", lane_cases.parameters(), ids=str)
def test_parameters(pair: Pair, lane: str, case: Case) -> None:
    check(pair, lane, case)


@pytest.mark.parametrize("case", lane_cases.bodies(), ids=str)
def test_bodies(pair: Pair, lane: str, case: Case) -> None:
    check(pair, lane, case)


@pytest.mark.parametrize("case", lane_cases.results(), ids=str)
def test_results(pair: Pair, lane: str, case: Case) -> None:
    check(pair, lane, case)


@pytest.mark.xfail(
    not REFERENCE_ONLY, strict=True, reason="the http crate refuses a raw quotation mark in a target: 400"
)
def test_a_raw_quotation_mark_in_the_query(pair: Pair, lane: str) -> None:
    """Not allowed by RFC 3986, but curl sends it: `curl 'localhost/search?q="exact"'`."""
    pair.same("GET", f'/{lane}/query/str?value="exact"')


def test_background_of_a_returned_response(pair: Pair, lane: str) -> None:
    for port in pair.ports:
        get(port, "/done")
        get(port, f"/{lane}/response/background")
        while (seen := get(port, "/done").json()) == []:
            pass
        assert seen == ["background"]


def test_absolute_answers(pair: Pair, lane: str) -> None:
    """The tables compare; these say what is right."""
    expected = {
        "/health": b'{"status":"ok"}',
        "/int/%201": b'{"value":1}',
        "/query/bool?value=ON": b'{"value":true}',
        "/result/floats": b"[0.0,-0.0,1.0,1e+16,1000000000000000.0,1.2345678901234568e+17,1e-05,0.0001,1e+22,1.5e+300,5e-324,"
        b"0.30000000000000004,0.3333333333333333,100.0]",
        "/result/sa-keys": b'{"name":"x","nested":{}}',
        "/out/filter": b'{"name":"n","price":1.0,"note":null}',
    }
    for target, body in expected.items():
        assert pair.same("GET", f"/{lane}{target}").body == body


@pytest.fixture(scope="module")
def in_process() -> Iterator[Any]:
    """The application in a server of this process, whose counters can be read."""
    import lanes

    import bimetal

    with bimetal.Server(lanes.app) as server:
        yield server


@pytest.mark.bimetal_only
@pytest.mark.parametrize("case", lane_cases.COMPILED, ids=str)
def test_compiled_routes_run_on_their_lane(in_process: Any, lane: str, case: Case) -> None:
    before = in_process.stats()["requests"]
    assert request(in_process.port, case.method, f"/{lane}{case.target}", case.headers, case.body).status < 300
    after = in_process.stats()["requests"]
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {lane: 1}


@pytest.mark.bimetal_only
def test_the_table_of_routes_agrees() -> None:
    completed = run_bimetal("routes", APP, "--json")
    assert completed.returncode == 0, completed.stderr
    lanes = {route["path"]: route["lane"] for route in json.loads(completed.stdout)}
    for case in lane_cases.COMPILED:
        path = case.target.split("?")[0]
        for lane in ("sync", "async"):
            if f"/{lane}{path}" in lanes:
                assert lanes[f"/{lane}{path}"] == lane
    assert lanes["/sync/health"] == "sync" and lanes["/async/health"] == "async"
