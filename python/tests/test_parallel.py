"""Handlers on several cores at once, where the interpreter lets them; and everywhere, objects that other threads change."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from harness.load import Clients
from harness.servers import ServerProcess, run_bimetal
from harness.wire import Connection, get

APP = "parallel:app"

pytestmark = pytest.mark.bimetal_only

WITH_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
needs_no_gil = pytest.mark.skipif(WITH_GIL, reason="this interpreter has a GIL: its threads take turns")

#: Requests of each client.
TURNS = 100


@needs_no_gil
def test_handlers_compute_at_the_same_time(server: ServerProcess) -> None:
    with Connection(server.port) as one, Connection(server.port) as other:
        one.send_request("GET", "/compute/one/other")
        other.send_request("GET", "/compute/other/one")
        assert [connection.read_reply().json() for connection in (one, other)] == [{"met": True}] * 2


@needs_no_gil
def test_the_extension_does_not_bring_the_gil_back(server: ServerProcess) -> None:
    assert get(server.port, "/gil").json() == {"enabled": False}


def test_the_version_says_whether_there_is_a_gil() -> None:
    assert f"gil {'enabled' if WITH_GIL else 'disabled'}\n" in run_bimetal("version").stdout


def test_objects_that_other_handlers_change_are_answered_whole(server: ServerProcess) -> None:
    def change(client: int) -> None:
        with Connection(server.port) as connection:
            for turn in range(TURNS):
                assert connection.request("GET", f"/change/{client}/{turn}").json() == "changed"

    def read(target: str) -> None:
        with Connection(server.port) as connection:
            for _ in range(TURNS):
                reply = connection.request("GET", target)
                assert reply.status == 200, reply
                found = reply.json()
                if target.endswith("model"):
                    assert found["part"]["name"].startswith("Maß")
                else:
                    texts = {**found, **found["texts"]}
                    assert all(value == [key, {"é": key}] for key, value in texts.items() if "größer" in key)

    changing = [partial(change, client) for client in range(3)]
    reading = [partial(read, target) for target in ("/plain", "/a/plain", "/model", "/a/model")]
    with Clients([*changing, *reading, *reading]) as clients:
        pass
    assert clients.failures == []
    assert get(server.port, "/plain").json() == {"items": [], "texts": {}}
