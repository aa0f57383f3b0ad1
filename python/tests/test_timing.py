"""Where the time of requests goes: in a header field, in the figures of `/metrics`, and in `bimetal routes --observed`.

Times are compared with what the server has certainly waited, and never with an upper bound.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import timing
from timing import WORK

from bimetal import Server
from bimetal.observed import observe
from harness.servers import ServerProcess, run_bimetal, start_bimetal
from harness.wire import Connection, Reply, get, request
from test_reload import until

pytestmark = pytest.mark.bimetal_only

MILLISECONDS = WORK * 1000

PHASES = {
    "native": ["handler"],
    "sync": ["queue", "interpreter", "handler", "serialise"],
    "async": ["queue", "handler", "serialise"],
    "asgi": ["queue", "handler"],
}


@pytest.fixture
def timed() -> Iterator[ServerProcess]:
    with start_bimetal("timing:app", "--timing") as server:
        yield server.wait_ready()


def phases(reply: Reply) -> dict[str, float]:
    """The phases of the server's field, in milliseconds."""
    value = reply.all("server-timing")[-1]
    found = [re.fullmatch(r"(\w+);dur=(\d+\.\d{3})", part) for part in value.split(", ")]
    assert all(found), value
    return {match[1]: float(match[2]) for match in found if match}


def metrics(port: int) -> dict[str, float]:
    text = get(port, "/metrics").text
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def labels(path: str, lane: str, method: str = "GET") -> str:
    return f'route="{path}",lane="{lane}",method="{method}"'


def answered(figures: dict[str, float], path: str, lane: str, status: str, method: str = "GET") -> float:
    return figures.get(f'bimetal_request_duration_seconds_count{{{labels(path, lane, method)},status="{status}"}}', 0.0)


def test_each_lane_has_its_phases(timed: ServerProcess) -> None:
    paths = {"native": "/health", "sync": "/sync/users/1", "async": "/async/users/1", "asgi": "/plain"}
    for lane, path in paths.items():
        reply = get(timed.port, path)
        assert reply.status == 200
        assert list(phases(reply)) == PHASES[lane], path


@pytest.mark.parametrize("lane", ["sync", "async"])
def test_what_handlers_do_is_in_their_phase(timed: ServerProcess, lane: str) -> None:
    assert phases(get(timed.port, f"/{lane}/works"))["handler"] >= MILLISECONDS
    # So is what dependencies do, on whichever thread.
    found = phases(get(timed.port, f"/{lane}/depends"))
    assert found["handler"] >= MILLISECONDS
    # An operation whose first call is a `def` function begins on a runner.
    assert list(found) == PHASES["sync"]


def test_what_the_application_does_on_the_asgi_lane(timed: ServerProcess) -> None:
    assert phases(get(timed.port, "/plain"))["handler"] >= MILLISECONDS
    failed = get(timed.port, "/plain?raises")
    assert failed.status == 500 and list(phases(failed)) == PHASES["asgi"]
    # What no route matches is answered by the whole application.
    missing = get(timed.port, "/nowhere")
    assert missing.status == 404 and list(phases(missing)) == PHASES["asgi"]


@pytest.mark.parametrize("lane", ["sync", "async"])
def test_bodies_and_failures(timed: ServerProcess, lane: str) -> None:
    json_type = [("content-type", "application/json")]
    posted = request(timed.port, "POST", f"/{lane}/items", headers=json_type, body=b'{"name": "x"}')
    assert posted.status == 200 and list(phases(posted)) == PHASES[lane]
    refused = request(timed.port, "POST", f"/{lane}/items", headers=json_type, body=b"{}")
    assert refused.status == 422 and "handler" in phases(refused)
    for path, status in [("teapot", 418), ("raises", 500)]:
        failed = get(timed.port, f"/{lane}/{path}")
        assert failed.status == status and {"queue", "handler"} <= phases(failed).keys()
    invalid = get(timed.port, f"/{lane}/users/x")
    assert invalid.status == 422 and "handler" in phases(invalid)


def test_a_stream(timed: ServerProcess) -> None:
    reply = get(timed.port, "/async/stream")
    assert reply.body == b"onetwo" and {"queue", "handler"} <= phases(reply).keys()


def test_a_field_of_the_application_stays(timed: ServerProcess) -> None:
    reply = get(timed.port, "/sync/own")
    assert len(reply.all("server-timing")) == 2 and reply.all("server-timing")[0] == "db;dur=1"
    assert "handler" in phases(reply)


def test_no_field_unless_it_is_asked_for() -> None:
    with Server(timing.app) as server:
        for path in ["/health", "/sync/users/1", "/async/users/1", "/plain", "/nowhere"]:
            assert get(server.port, path).all("server-timing") == [], path
    with Server(timing.app, timing=True) as server:
        assert "handler" in phases(get(server.port, "/health"))


@pytest.mark.parametrize("lane", ["sync", "async"])
def test_a_request_behind_another_one_is_queued(lane: str) -> None:
    with Server(timing.app, timing=True, sync_threads=1) as server, Connection(server.port) as first:
        first.send_request("GET", f"/{lane}/waits")
        assert timing.entered.acquire(timeout=timing.BOUND)
        with Connection(server.port) as second:
            second.send_request("GET", f"/{lane}/users/7")
            until(lambda: server.stats()["in_flight"] == 2, "the second request is in flight")
            time.sleep(WORK)
            timing.leave.release()
            assert phases(first.read_reply())["handler"] >= MILLISECONDS
            behind = phases(second.read_reply())
    assert behind["queue"] >= MILLISECONDS, behind


def test_waiting_for_the_interpreter(tmp_path: Path) -> None:
    pipe, held = tmp_path / "pipe", tmp_path / "held"
    os.mkfifo(pipe)
    held.touch()
    with start_bimetal("timing:app", "--timing", env={"FOLDER": str(tmp_path)}) as server:
        server.wait_ready()
        # The runner may get the interpreter in the instant before it is held: then once more.
        for _ in range(20):
            size = held.stat().st_size
            with Connection(server.port) as holder, Connection(server.port) as waiter:
                holder.send_request("GET", "/async/hold")
                until(lambda size=size: held.stat().st_size > size, "the interpreter is held")
                waiter.send_request("GET", "/sync/users/1")
                until(lambda: metrics(server.port)["bimetal_requests_in_flight"] >= 3, "all are in flight")
                time.sleep(WORK)
                with pipe.open("wb") as end:
                    end.write(b"x")
                assert holder.read_reply().status == 200
                found = phases(waiter.read_reply())
            if found["interpreter"] >= MILLISECONDS / 2:
                return
    pytest.fail(f"the wait for the interpreter does not show: {found}")


@pytest.mark.parametrize("options", [(), ("--timing",)], ids=["plain", "timing"])
def test_the_figures_are_those_of_the_requests(options: tuple[str, ...]) -> None:
    with start_bimetal("timing:app", *options) as server:
        server.wait_ready()
        with Connection(server.port) as connection:
            for _ in range(5):
                for lane in ["sync", "async"]:
                    assert connection.request("GET", f"/{lane}/users/{_}").status == 200
                    assert connection.request("GET", f"/{lane}/users/x").status == 422
                    assert connection.request("GET", f"/{lane}/raises").status == 500
                assert connection.request("GET", "/health").status == 200
            assert connection.request("GET", "/sync/works").status == 200
            assert connection.request("GET", "/plain").status == 200
            assert connection.request("BREW", "/nowhere/else").status == 404
        figures = metrics(server.port)
    for lane in ["sync", "async"]:
        assert answered(figures, f"/{lane}/users/{{user_id}}", lane, "2xx") == 5
        assert answered(figures, f"/{lane}/users/{{user_id}}", lane, "4xx") == 5
        assert answered(figures, f"/{lane}/raises", lane, "5xx") == 5
        of_users = labels(f"/{lane}/users/{{user_id}}", lane)
        for phase in ["queue", "handler"]:
            assert figures[f"bimetal_{phase}_seconds_count{{{of_users}}}"] == 10, phase
        assert (f"bimetal_interpreter_wait_seconds_count{{{of_users}}}" in figures) == (lane == "sync")
        assert figures[f"bimetal_serialise_seconds_count{{{of_users}}}"] >= 5
    assert answered(figures, "/health", "native", "2xx") == 5
    assert figures[f"bimetal_handler_seconds_count{{{labels('/health', 'native')}}}"] == 5
    assert f"bimetal_queue_seconds_count{{{labels('/health', 'native')}}}" not in figures
    works = labels("/sync/works", "sync")
    assert figures[f"bimetal_handler_seconds_sum{{{works}}}"] >= WORK
    whole = f'{works},status="2xx"'
    assert figures[f"bimetal_request_duration_seconds_sum{{{whole}}}"] >= WORK
    assert figures[f'bimetal_request_duration_seconds_bucket{{{whole},le="0.025"}}'] == 0
    assert figures[f'bimetal_request_duration_seconds_bucket{{{whole},le="+Inf"}}'] == 1
    # Paths that are no routes have no series of their own, nor have methods that nobody knows.
    assert answered(figures, "/{path:path}", "asgi", "4xx", "other") == 1
    assert not any("nowhere" in name or "BREW" in name for name in figures)


def observed(*args: str) -> list[dict[str, object]]:
    completed = run_bimetal("routes", "timing:app", "--json", *args)
    assert completed.returncode == 0, completed.stderr
    found: list[dict[str, object]] = json.loads(completed.stdout)
    return found


def test_observed_routes() -> None:
    with start_bimetal("timing:app") as server:
        server.wait_ready()
        with Connection(server.port) as connection:
            for number in range(20):
                assert connection.request("GET", f"/sync/users/{number}").status == 200
                assert connection.request("GET", "/health").status == 200
            for _ in range(3):
                assert connection.request("GET", "/sync/works").status == 200
            assert connection.request("GET", "/sync/users/x").status == 422
        url = f"http://127.0.0.1:{server.port}"
        listed = observed("--observed", url)
        found = {str(route["path"]): route for route in listed}
        again = {str(route["path"]) for route in observed("--observed", f"{url}/metrics")}
        completed = run_bimetal("routes", "timing:app", "--observed", url)
    users, works, health = found["/sync/users/{user_id}"], found["/sync/works"], found["/health"]
    assert (users["lane"], users["method"], users["requests"]) == ("sync", "GET", 21)
    assert users["status"] == {"2xx": 20, "4xx": 1}
    assert "sync_user" in str(users["handler"]) and health["handler"] == "health"
    totals = [float(str(route["inside"])) + float(str(route["outside"])) for route in listed]
    assert totals == sorted(totals, reverse=True), "the route with the most time comes first"
    assert isinstance(works["inside"], float) and works["inside"] >= 3 * WORK
    assert isinstance(works["p50"], float) and works["p50"] > 0.025
    assert isinstance(users["outside"], float) and users["outside"] > 0
    assert (health["outside"], health["gain"]) == (0, None)
    assert again >= found.keys()
    assert completed.returncode == 0
    header, *lines = completed.stdout.splitlines()
    assert header.split()[:4] == ["METHOD", "PATH", "LANE", "REQUESTS"]
    assert ["GET", "/sync/works", "sync", "3"] in [line.split()[:4] for line in lines]


def test_handlers_that_compute_are_told_from_those_that_wait() -> None:
    computing = ["/sync/computes", "/async/computes", "/sync/computes/behind"]
    with start_bimetal("timing:app") as server:
        server.wait_ready()
        with Connection(server.port) as connection:
            for number in range(60):
                waiting = ["/sync/works", "/async/works"] if number < 12 else []
                for path in [*computing, *waiting]:
                    assert connection.request("GET", path).status == 200
        found = {str(route["path"]): route for route in observed("--observed", f"http://127.0.0.1:{server.port}")}
        measured = metrics(server.port)
    for path in computing:
        gain = found[path]["gain"]
        assert isinstance(gain, str) and gain.startswith("its handler computes for "), (path, found[path])
        assert float(str(found[path]["computed"])) > 0
        lane = "async" if path.startswith("/async") else "sync"
        assert 1 <= measured[f"bimetal_handler_cpu_seconds_count{{{labels(path, lane)}}}"] < 60
    for path in ["/sync/works", "/async/works"]:
        assert found[path]["gain"] is None, found[path]
        assert float(str(found[path]["computed"])) < float(str(found[path]["inside"])) / 10


def _figures(path: str, lane: str, requests: int, **phases: float) -> str:
    """What `/metrics` would say of a route: half of its requests take up to 50 ms, the others up to 100 ms."""
    of_route = labels(path, lane)
    lines = [f"bimetal_{phase}_seconds_sum{{{of_route}}} {seconds}" for phase, seconds in phases.items()]
    if "handler_cpu" in phases:
        lines.append(f"bimetal_handler_cpu_seconds_count{{{of_route}}} {requests // 10}")
    for bound, count in [("0.05", requests // 2), ("0.1", requests), ("+Inf", requests)]:
        lines.append(f'bimetal_request_duration_seconds_bucket{{{of_route},status="2xx",le="{bound}"}} {count}')
    lines.append(f'bimetal_request_duration_seconds_count{{{of_route},status="2xx"}} {requests}')
    return "\n".join(lines) + "\n"


def test_which_routes_would_gain() -> None:
    text = 'bimetal_requests_total{lane="sync"} 1\n' + "".join(
        [
            _figures("/waits", "sync", 100, queue=5.0, interpreter_wait=2.0, handler=2.0, serialise=1.0),
            _figures("/works", "async", 100, queue=2.0, handler=9.0),
            _figures("/native", "native", 100, handler=1.0),
            _figures("/computes", "sync", 100, queue=1.0, handler=3.0, handler_cpu=0.2),
            _figures("/small", "sync", 100, queue=0.2, handler=0.1),
            _figures("/rare", "sync", 9, queue=5.0, handler=0.1),
        ]
    )

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = {route.path: route for route in observe(f"127.0.0.1:{server.server_port}", [])}
        thread.join()
    assert {path: route.gain for path, route in found.items() if route.gain} == {
        "/waits": "80% of its time is outside the handler",
        "/computes": "its handler computes for 50% of its time",
    }
    waits = found["/waits"]
    assert (waits.outside, waits.inside, waits.requests) == (8.0, 2.0, 100)
    assert waits.quantile(0.5) == pytest.approx(0.05) and waits.quantile(0.99) == pytest.approx(0.099)


def test_what_cannot_be_observed_says_why() -> None:
    with start_bimetal("lanes:app") as server:
        server.wait_ready()
        failed = run_bimetal("routes", "lanes:app", "--observed", f"http://127.0.0.1:{server.port}")
        assert failed.returncode == 1 and "answers 404" in failed.stderr
        assert "--native /metrics=metrics" in failed.stderr
        path = f"http://127.0.0.1:{server.port}/sync/health"
        other = run_bimetal("routes", "lanes:app", "--observed", path)
        assert other.returncode == 1 and "no metrics of Bimetal" in other.stderr
    gone = run_bimetal("routes", "lanes:app", "--observed", f"http://127.0.0.1:{server.port}")
    assert gone.returncode == 1 and "cannot read" in gone.stderr
    wrong = run_bimetal("routes", "lanes:app", "--observed", "ftp://127.0.0.1")
    assert wrong.returncode == 1 and "is not the address of a server" in wrong.stderr
