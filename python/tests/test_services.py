"""What native handlers can ask of the server: calls of Python routes, jobs, metrics; and what is left when it stops."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bimetal import Bimetal, Server
from harness.servers import ServerProcess, start_bimetal
from harness.wire import Connection, Reply, get, request
from test_reload import threads_of, until

pytestmark = pytest.mark.bimetal_only

PANICS = 10_000


class Called:
    """A server with a library of its own, and the journal of both."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self.library = folder / "libcaller.so"
        shutil.copy(library, self.library)
        self.env = {"FOLDER": str(folder), "CALLER": str(self.library)}

    @property
    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, line: str, times: int = 1) -> None:
        until(lambda: self.journal.count(line) >= times, line)


@pytest.fixture
def called(tmp_path: Path, caller_library: Path) -> Called:
    return Called(tmp_path, caller_library)


@pytest.fixture
def served(called: Called) -> Iterator[ServerProcess]:
    with start_bimetal("calling:app", env=called.env) as server:
        yield server.wait_ready()


def relay(server: ServerProcess, to: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return request(server.port, method, f"/relay?to={quote(to, safe='')}", headers=fields, body=body)


@pytest.mark.parametrize(
    "to", ["/sync/7", "/async/7", "/sync/x", "/teapot", "/nowhere", "/stream", "/raises", "/works"]
)
def test_a_route_answers_as_it_does_to_a_client(served: ServerProcess, to: str) -> None:
    direct, relayed = get(served.port, to), relay(served, to)
    assert (relayed.status, relayed.body) == (direct.status, direct.body)
    assert relayed.header("content-type") == direct.header("content-type")
    blocking = get(served.port, f"/relay_blocking?to={quote(to, safe='')}")
    assert (blocking.status, blocking.body) == (direct.status, direct.body)


def test_everything_of_a_call_arrives(served: ServerProcess) -> None:
    assert relay(served, "/sync/1", x_from="Rust").json() == {"n": 1, "x": "Rust", "greeting": "hello"}
    posted = relay(served, "/body?q=a%20b", "POST", b'{"one": 1, "two": 2}', content_type="application/json")
    assert (posted.status, posted.json(), posted.header("x-q")) == (201, {"sum": 3}, "a b")
    refused = relay(served, "/body", "POST", b"[", content_type="application/json")
    assert refused.status == 422 and refused.json()["detail"][0]["type"] == "json_invalid"
    wrong = relay(served, "/body", "DELETE")
    assert (wrong.status, wrong.header("allow")) == (405, "POST")
    seen = relay(served, "/seen").json()
    address = f"127.0.0.1:{served.port}"
    assert seen == {
        "host": address,
        "url": f"http://{address}/seen",
        "client": None,
        "server": ["127.0.0.1", served.port],
    }


def test_what_is_before_the_route_is_passed_too(served: ServerProcess, called: Called) -> None:
    """The server's edge here, a middleware of the application's there."""
    allowed = relay(served, "/sync/1", origin="https://example.org")
    assert allowed.header("access-control-allow-origin") is not None
    with start_bimetal("calling:layered", env=called.env) as layered:
        layered.wait_ready()
        assert get(layered.port, "/works").header("x-stamp") is None
        relayed = relay(layered, "/python")
        assert (relayed.json(), relayed.header("x-stamp")) == ("python", "/python")


def test_an_exception_is_in_the_log(served: ServerProcess) -> None:
    assert relay(served, "/raises").status == 500
    assert "RuntimeError: on purpose" in served.wait_output("RuntimeError")


def test_calls_without_an_answer(served: ServerProcess) -> None:
    socket = get(served.port, "/failure?to=/socket&header=upgrade")
    assert socket.text.startswith("Upgrade: a call inside the server cannot become a WebSocket")
    # As Starlette has it: the route is one for WebSockets alone.
    assert get(served.port, "/failure?to=/socket").text == "404"
    circle = "/works"
    for _ in range(9):
        circle = f"/relay?to={quote(circle, safe='')}"
    assert get(served.port, circle).status == 500
    assert "8 routes have called one another already" in served.wait_output("called one another")


def test_a_caller_that_gives_up(served: ServerProcess, called: Called) -> None:
    with Connection(served.port) as connection:
        connection.send_request("GET", "/relay?to=/until_gone")
        called.wait_for("called")
        assert "gone" not in called.journal
    called.wait_for("gone")
    assert get(served.port, "/gives_up?to=/until_gone").text == "given up"
    called.wait_for("gone", times=2)


def test_a_call_spans_a_reload(served: ServerProcess, called: Called) -> None:
    with Connection(served.port) as connection:
        connection.send_request("GET", "/relay?to=/waits")
        called.wait_for("waits")
        with called.library.open("ab") as library:
            library.write(b"another version")
        assert len(request(served.port, "POST", "/reload").json()) == 1
        assert relay(served, "/sync/2").json()["n"] == 2
        assert "retired" not in called.journal
        (called.folder / "go").touch()
        assert connection.read_reply().json() == "waited"
    called.wait_for("retired")


def test_metrics(served: ServerProcess) -> None:
    for _ in range(3):
        relay(served, "/sync/1")
    metrics = get(served.port, "/metrics")
    assert metrics.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    lines = metrics.text.splitlines()
    assert "caller_calls_total 3" in lines and "# TYPE caller_calls_total counter" in lines
    assert 'bimetal_requests_total{lane="native"} 3' in lines and 'bimetal_requests_total{lane="sync"} 3' in lines


@pytest.mark.timeout(300)
def test_ten_thousand_panics(served: ServerProcess) -> None:
    paths = ["/panics", "/panics_later", "/panics_blocking", "/panics_in_job"]
    wrong: list[str] = []

    def client(path: str) -> None:
        try:
            with Connection(served.port) as connection:
                for number in range(PANICS // len(paths)):
                    reply = connection.request("GET", f"{path}?number={number}")
                    if (reply.status, reply.json()) != (500, {"detail": "Internal Server Error"}):
                        wrong.append(f"{path} {number}: {reply}")
        except Exception as error:
            wrong.append(f"{path}: {error!r}")

    def round_of_panics() -> int:
        clients = [threading.Thread(target=client, args=(path,)) for path in paths]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        assert not wrong
        return resident(served.pid)

    pid, began = served.pid, time.monotonic()
    first = round_of_panics()
    # As many again: what ten thousand panics leave behind would be seen as often.
    assert round_of_panics() - first < 64 * 1024 * 1024
    assert served.pid == pid and served.process.poll() is None
    assert get(served.port, "/works").text == "works"
    count = next(line for line in _served_metrics(served) if line.startswith("bimetal_native_panics_total"))
    # A job's panic is its own, and that of nobody else.
    assert int(count.split()[1]) == 2 * PANICS
    assert "number 0" in served.output and "panicked at src/lib.rs" in served.output
    # In ten seconds ten lines about each handler and ten messages of the plugin, whatever length a backtrace gives one.
    windows = 1 + math.ceil((time.monotonic() - began) / 10)
    logged = served.output.count("panicked on") + served.output.count("panicked at")
    assert logged <= windows * 10 * (len(paths) + 1), "the log is flooded"


def _served_metrics(server: ServerProcess) -> list[str]:
    return get(server.port, "/metrics").text.splitlines()


def resident(pid: int) -> int:
    """Bytes of memory in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_plugins_are_retired_when_the_server_stops(served: ServerProcess, called: Called) -> None:
    assert get(served.port, "/works").text == "works"
    assert called.journal == ["initialised"]
    assert served.stop() == 0
    assert called.journal == ["initialised", "retired"]
    assert "plugin generation is retired" in served.output


def test_a_plugin_ends_with_the_last_server(called: Called) -> None:
    def app() -> Bimetal:
        app = Bimetal(plugins=[(called.library, {"folder": str(called.folder)})])

        @app.get("/works", handler_type="native", native="caller.works")
        def works() -> None: ...

        return app

    one, other = app(), app()
    with Server(one) as first:
        with Server(one), Server(other) as last:
            assert get(last.port, "/works").text == "works"
        assert called.journal == ["initialised"]
        assert get(first.port, "/works").text == "works"
        assert "bimetal-plugin-" in threads_of(os.getpid())
    assert called.journal == ["initialised", "retired"]
    until(lambda: "bimetal-plugin-" not in threads_of(os.getpid()), "the end of the plugin's threads")
    with Server(one) as again:
        assert get(again.port, "/works").text == "works"
    assert called.journal == ["initialised", "retired"] * 2
