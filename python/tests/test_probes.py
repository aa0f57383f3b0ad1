"""Probes that tell the truth: with threads, event loop and interpreter busy, while the server starts and while it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from bimetal import BimetalError, Server
from bimetal.address import parse_address
from harness.servers import START_TIMEOUT, STOP_TIMEOUT, ServerProcess, free_port, run_bimetal, start_bimetal
from harness.wire import Connection, Reply, get, request

pytestmark = pytest.mark.bimetal_only

PROBES = ("/livez", "/readyz", "/startupz", "/metrics")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


class Probed:
    """A server, the port of its probes, and the folder in which the application and the test leave notes."""

    def __init__(self, server: ServerProcess, admin: int, folder: Path) -> None:
        self.server = server
        self.admin = admin
        self.folder = folder

    def note(self, name: str) -> None:
        until((self.folder / name).exists, name)

    def go(self, name: str = "go") -> None:
        (self.folder / name).touch()

    def ask(self, path: str) -> Reply:
        """Ask on the port of the probes; it opens before anything else does."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                return get(self.admin, path)
            except ConnectionRefusedError:
                assert self.server.process.poll() is None and time.monotonic() < deadline, self.server.output
                time.sleep(0.01)

    def becomes(self, path: str, status: int) -> Any:
        """Wait until the probe answers so; what it says."""
        until(lambda: self.ask(path).status == status, f"{path} {status}: {self.ask(path).text}")
        return self.ask(path).json()

    @contextlib.contextmanager
    def asked(self, path: str) -> Iterator[Connection]:
        """A request that is being answered."""
        with Connection(self.server.port) as connection:
            connection.send_request("GET", path)
            yield connection


@contextlib.contextmanager
def serve(folder: Path, *args: str, slow: bool = False) -> Iterator[Probed]:
    admin = free_port()
    env = {"FOLDER": str(folder)} | ({"SLOW": "1"} if slow else {})
    with start_bimetal("probes:app", "--admin", f"127.0.0.1:{admin}", "--probes", *args, env=env) as server:
        probed = Probed(server, admin, folder)
        if not slow:
            server.wait_ready()
        yield probed


def test_a_startup_is_waited_for_and_nothing_else_says_so(tmp_path: Path) -> None:
    with serve(tmp_path, slow=True) as probed:
        probed.note("starting")
        for path, status, says in (("/livez", 200, "ok"), ("/startupz", 503, "starting"), ("/readyz", 503, "starting")):
            reply = probed.ask(path)
            assert (reply.status, reply.json()["status"]) == (status, says)
        probed.go("start")
        assert probed.becomes("/startupz", 200) == {"status": "started"}
        ready = probed.becomes("/readyz", 200)
        assert ready["status"] == "ready"
        checks = ready["checks"]
        assert list(checks) == [
            "event_loop_lag_seconds",
            "queue_age_seconds",
            "runner_saturation",
            "blocking_saturation",
        ]
        assert all(check["ok"] and check["value"] <= check["threshold"] for check in checks.values())
        for path in PROBES:
            assert get(probed.server.port, path).status == 200
            head = request(probed.server.port, "HEAD", path)
            assert (head.status, head.body) == (200, b"")
        assert get(probed.admin, "/pid").status == 404


def blocking() -> tuple[FastAPI, threading.Event]:
    """An application whose `/block` holds a thread until the event is set."""
    app, go = FastAPI(), threading.Event()

    @app.get("/block")
    def block() -> None:
        go.wait(STOP_TIMEOUT)

    return app, go


def test_blocked_threads_are_no_readiness(tmp_path: Path) -> None:
    app, go = blocking()
    with Server(app, probes=True, sync_threads=40) as server, contextlib.ExitStack() as stack:
        try:
            assert get(server.port, "/readyz").status == 200
            clients = [stack.enter_context(Connection(server.port)) for _ in range(41)]
            for client in clients:
                client.send_request("GET", "/block")
            until(lambda: get(server.port, "/readyz").status == 503, "503")
            said = get(server.port, "/readyz").json()
            assert said["status"] == "overloaded"
            assert said["checks"]["runner_saturation"] == {"value": 1.025, "threshold": 1, "ok": False}
            assert said["checks"]["event_loop_lag_seconds"]["ok"]
            assert get(server.port, "/livez").status == get(server.port, "/startupz").status == 200
            text = get(server.port, "/metrics").text
            assert "\nbimetal_runner_threads_busy 40\n" in text
            assert '\nbimetal_queue_jobs{lane="sync"} 1\n' in text
            assert "\nbimetal_ready 0\n" in text
        finally:
            go.set()
        for client in clients:
            assert client.read_reply().status == 200
        until(lambda: get(server.port, "/readyz").status == 200, "200")


def test_what_waits_too_long_is_no_readiness_whatever_the_saturation(tmp_path: Path) -> None:
    app, go = blocking()
    limits = {"sync_threads": 1, "ready_saturation": 1000.0, "ready_queue_age": 0.1}
    with Server(app, probes=True, **limits) as server, Connection(server.port) as one, Connection(server.port) as two:
        try:
            for client in (one, two):
                client.send_request("GET", "/block")
            until(lambda: get(server.port, "/readyz").status == 503, "503")
            checks = get(server.port, "/readyz").json()["checks"]
            assert [name for name, check in checks.items() if not check["ok"]] == ["queue_age_seconds"]
        finally:
            go.set()
        assert [client.read_reply().status for client in (one, two)] == [200, 200]


def test_a_busy_event_loop_is_no_readiness(tmp_path: Path) -> None:
    with serve(tmp_path, "--ready-loop-lag", "0.2") as probed, probed.asked("/freeze") as frozen:
        probed.note("frozen")
        for port in (probed.server.port, probed.admin):
            reply = get(port, "/readyz")
            check = reply.json()["checks"]["event_loop_lag_seconds"]
            assert (reply.status, check["ok"], check["threshold"]) == (503, False, 0.2)
            assert check["value"] >= 0.2
            assert get(port, "/livez").status == get(port, "/startupz").status == 200
            assert get(port, "/metrics").status == 200
        probed.go()
        assert frozen.read_reply().status == 200
        probed.becomes("/readyz", 200)


def test_the_interpreter_is_not_needed(tmp_path: Path) -> None:
    with serve(tmp_path, "--ready-loop-lag", "0.2") as probed, probed.asked(f"/gil/{int(START_TIMEOUT) * 10}"):
        probed.note("gil")
        for port in (probed.server.port, probed.admin):
            assert get(port, "/livez").status == get(port, "/startupz").status == get(port, "/metrics").status == 200
            assert get(port, "/readyz").status == 503
        # Nothing in it could answer a signal.
        probed.server.kill()


def test_who_drains_is_not_ready(tmp_path: Path) -> None:
    with serve(tmp_path) as probed, probed.asked("/hold") as held:
        probed.note("held")
        assert probed.ask("/readyz").status == 200
        probed.server.process.send_signal(signal.SIGTERM)
        assert probed.becomes("/readyz", 503)["status"] == "draining"
        assert probed.ask("/livez").status == probed.ask("/startupz").status == 200
        probed.go()
        assert held.read_reply().status == 200
        assert probed.server.process.wait(STOP_TIMEOUT) == 0


def test_routes_of_the_application_go_first() -> None:
    app = FastAPI()

    @app.get("/livez")
    def livez() -> str:
        return "the application's"

    @app.get("/{path:path}")
    def everything(path: str) -> str:
        return path

    with Server(app, probes=True) as server:
        assert get(server.port, "/livez").json() == "the application's"
        assert get(server.port, "/other").json() == "other"
        assert get(server.port, "/readyz").json()["status"] == "ready"
    with Server(app) as server:
        assert get(server.port, "/readyz").json() == "readyz"


def test_the_native_handlers_of_these_names_tell_the_same() -> None:
    native = {"/up": "livez", "/ready": "readyz", "/begun": "startupz", "/figures": "metrics"}
    with Server(FastAPI(), native=native) as server:
        assert "event_loop_lag_seconds" in get(server.port, "/ready").json()["checks"]
        assert get(server.port, "/begun").json() == {"status": "started"}
        assert get(server.port, "/up").json() == {"status": "ok"}
        assert "process_resident_memory_bytes " in get(server.port, "/figures").text


def test_a_server_leaves_no_probes_behind() -> None:
    before = set(os.listdir("/proc/self/task"))
    for _ in range(3):
        with Server(FastAPI(), admin="127.0.0.1:0") as server:
            port = server.admin_port
            assert port is not None and get(port, "/readyz").status == 200
        with pytest.raises(ConnectionRefusedError):
            get(port, "/livez")
    until(lambda: len(os.listdir("/proc/self/task")) <= len(before), "its threads have ended")


def test_an_address_that_is_taken_or_none_is_said() -> None:
    with Server(FastAPI(), admin="127.0.0.1:0") as server:
        taken = f"127.0.0.1:{server.admin_port}"
        with pytest.raises(BimetalError, match=taken):
            Server(FastAPI(), admin=taken).start()
    for text in ("9000", "::1:9000", "host:", "host:x", "host:70000", ":9000", "[]:9000"):
        with pytest.raises(ValueError, match="port"):
            parse_address(text) if "70000" in text else parse_address(text + " is not a port")
        done = run_bimetal("run", "probes:app", "--admin", text)
        assert done.returncode == 2 and "--admin" in done.stderr
    assert parse_address("[::1]:9000") == ("::1", 9000)


def test_the_supervisor_answers_for_its_workers(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2", "--ready-loop-lag", "0.2") as probed:
        until(lambda: str(probed.ask("/readyz").json()["workers"]).count("'ready'") == 2, "two workers")
        assert probed.ask("/startupz").status == probed.ask("/livez").status == probed.ask("/readyz").status == 200
        with probed.asked("/freeze") as frozen:
            probed.note("frozen")
            said = probed.becomes("/readyz", 503)
            assert said["status"] == "overloaded"
            assert sorted(worker["status"] for worker in said["workers"].values()) == ["overloaded", "ready"]
            probed.go()
            assert frozen.read_reply().status == 200
        assert len(probed.becomes("/readyz", 200)["workers"]) == 2
        # One that does not run at all.
        pid = get(probed.server.port, "/pid").json()["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            said = probed.becomes("/readyz", 503)
            assert {"status": "silent"} in said["workers"].values()
            assert probed.ask("/metrics").status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        probed.becomes("/readyz", 200)
