"""What comes after the response comes after it for the client as well: each of these waits until the client has it."""

from __future__ import annotations

import socket

import pytest

from harness.compare import Pair, ask, assert_same
from harness.wire import Connection, Reply

APP = "held:app"

TARGETS = [
    "/sync/sync-exit", "/sync/async-exit", "/async/sync-exit", "/async/async-exit", "/stream/async-exit", "/response/sync-exit",
    "/sync/sync-background", "/sync/async-background", "/async/sync-background", "/async/async-background",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_the_client_has_the_response_first(pair: Pair, target: str) -> None:
    name = target.strip("/").replace("/", "-")
    replies: list[Reply] = []
    for server in (pair.ours, pair.reference):
        before = server.output_size
        with Connection(server.port) as connection:
            replies.append(connection.request("GET", f"{target}/{name}"))
            assert "~ " not in server.output_since(before)
            ask(server.port, "GET", f"/open/{name}")
            server.wait_output(f"~ exit {name}\n")
    assert_same(*replies)


@pytest.mark.bimetal_only
@pytest.mark.parametrize("kind", ["exit", "background"])
def test_what_blocks_the_loop_after_a_response_does_not_hold_it_back(pair: Pair, kind: str) -> None:
    """Under uvicorn it does: uvloop writes at the end of its turn."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert ask(pair.ours.port, "GET", f"/blocking-{kind}/{port}").json() == port
        blocking, _ = listening.accept()
        with blocking:
            blocking.send(b".")


@pytest.mark.parametrize("kind", ["exit", "background"])
def test_what_comes_after_a_response_holds_up_nobody(pair: Pair, kind: str) -> None:
    """As many of them as uvicorn has threads, at the same time, while other requests are answered."""
    for server in (pair.ours, pair.reference):
        names = [f"many-{kind}-{number}" for number in range(30)]
        for name in names:
            assert ask(server.port, "GET", f"/sync/sync-{kind}/{name}").status == 200
        for name in names:
            ask(server.port, "GET", f"/open/{name}")
        for name in names:
            server.wait_output(f"~ exit {name}\n")
