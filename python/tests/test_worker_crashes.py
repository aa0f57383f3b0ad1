"""A worker process that is ended by a signal: the supervisor names what it was calling, and others serve on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.plugins import compile_c
from harness.servers import ServerProcess, start_bimetal, until
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only

#: What ends a worker, by what, and what is said of it.
CRASHES = {
    "/native/now": ("SIGSEGV", r"GET /native/now \(native, handler crash.now of plugin crash, \S+\) on bimetal-io;"),
    "/native/aborts": ("SIGABRT", r"GET /native/aborts \(native, handler crash.aborts of plugin crash, \S+\)"),
    "/native/blocking": ("SIGSEGV", r"GET /native/blocking \(native, handler crash.blocking .*\) on bimetal-blocking;"),
    "/native/later": ("SIGSEGV", r"GET /native/later \(native, handler crash.later .*\) on bimetal-io;"),
    "/sync/1": ("SIGSEGV", r"GET /sync/{number} \(sync\) on bimetal-sync;"),
    "/async": ("SIGSEGV", r"GET /async \(async\) on the event loop"),
    "/async/later": ("SIGSEGV", r"GET /async/later \(async\) on the event loop"),
    "/depends": ("SIGSEGV", r"GET /depends \(async\) on bimetal-sync;"),
    "/mounted/x": ("SIGSEGV", r"/mounted/{path:path} \(asgi\) on the event loop"),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    library = compile_c(tmp_path, "crash", source="crash.c")
    arguments = ("--workers", "2", "--plugin", str(library))
    with start_bimetal("crashing:app", *arguments, env={"FOLDER": str(tmp_path)}) as server:
        yield server.wait_ready()


def both(server: ServerProcess) -> dict[int, Connection]:
    """A connection to each worker."""
    connections: dict[int, Connection] = {}

    def asked() -> bool:
        with contextlib.suppress(OSError):
            connection = Connection(server.port)
            pid = connection.request("GET", "/pid").json()
            connections.setdefault(pid, connection)
        return len(connections) == 2

    until(asked, "an answer of each worker")
    return connections


def test_a_crash_names_the_route_and_the_handler_and_costs_one_worker(server: ServerProcess) -> None:
    for path, (name, said) in CRASHES.items():
        connections = both(server)
        (_, victim), (other, survivor) = connections.items()
        before = len(server.output)
        with pytest.raises(ConnectionError):
            victim.request("GET", path)
        # The connection that was with the other one is as good as before.
        assert survivor.request("GET", "/pid").json() == other
        server.wait_output(f"was ended by {name}", since=before)
        line = next(line for line in server.output[before:].splitlines() if f"was ended by {name}" in line)
        # The I/O thread may not have come back from handing it over.
        assert re.search(f"was ended by {name} while calling (.* on bimetal-io; )?{said}", line), line
        for connection in connections.values():
            connection.close()
    assert get(server.port, "/pid").status == 200


def test_all_that_was_being_called_is_named_also_where_a_signal_comes_from_outside(
    server: ServerProcess, tmp_path: Path
) -> None:
    connections = both(server)
    (victim, connection), (_, survivor) = connections.items()
    # A request that waits is not being called.
    connection.send_request("GET", "/native/hangs")
    until((tmp_path / "hangs").exists, "the call")
    os.kill(victim, signal.SIGKILL)
    server.wait_output("was ended by SIGKILL")
    line = next(line for line in server.output.splitlines() if "was ended by SIGKILL" in line)
    wanted = r"while calling GET /native/hangs \(native, handler crash.hangs of plugin crash, \S+\) on bimetal"
    assert re.search(wanted, line), line
    assert line.count(" on bimetal-") == 1, line
    assert survivor.request("GET", "/pid").status == 200
    for connection in both(server).values():
        connection.close()


def test_a_worker_that_was_calling_nothing_is_not_said_to(server: ServerProcess) -> None:
    connections = both(server)
    victim = min(connections)
    for connection in connections.values():
        # What has been called, and is over.
        assert connection.request("GET", "/pid").status == 200
    os.kill(victim, signal.SIGKILL)
    server.wait_output("was ended by SIGKILL")
    assert "while calling" not in server.output
