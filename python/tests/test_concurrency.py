"""Requests in parallel: nobody waits for anybody else, and nobody sees another's context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from harness.compare import Pair
from harness.servers import ServerProcess
from harness.wire import Connection, get

APP = "concurrency:app"


@pytest.fixture(params=["ours", "reference"])
def port(pair: Pair, request: pytest.FixtureRequest) -> int:
    server: ServerProcess = getattr(pair, request.param)
    return server.port


@contextlib.contextmanager
def outstanding(port: int, target: str, count: int) -> Iterator[list[Connection]]:
    """`count` connections, each with a request sent and no answer read."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(port)) for _ in range(count)]
        for connection in connections:
            connection.send_request("GET", target)
        yield connections


@pytest.mark.parametrize(
    ("kind", "parties"),
    # 40 threads are AnyIO's, and so uvicorn's, limit for plain handlers.
    [("sync", 40), ("async", 50), ("async", 500)],
)
def test_handlers_run_side_by_side(port: int, kind: str, parties: int) -> None:
    """Each returns only once all of them are inside: one after the other would never end."""
    with outstanding(port, f"/{kind}/meet/{kind}{parties}/{parties}", parties) as connections:
        assert all(connection.read_reply().status == 200 for connection in connections)


@pytest.mark.bimetal_only
# 1,000 threads are the most that a server starts.
@pytest.mark.parametrize("parties", [50, 300, 1000])
def test_many_blocking_handlers_run_side_by_side(server: ServerProcess, parties: int) -> None:
    with outstanding(server.port, f"/sync/meet/many{parties}/{parties}", parties) as connections:
        assert {connection.read_reply().json()["position"] for connection in connections} == set(range(parties))


def test_a_blocked_handler_blocks_nobody(port: int) -> None:
    with outstanding(port, "/sync/blocked", 20) as blocked:
        for _ in range(20):
            assert get(port, "/sync/quick").json() == "quick"
            assert get(port, "/async/quick").json() == "quick"
        get(port, "/async/release")
        assert [connection.read_reply().json() for connection in blocked] == ["released"] * 20


def test_a_computing_handler_lets_others_in(port: int) -> None:
    """The others are answered while it computes, not after: its own answer is not there yet."""
    with outstanding(port, "/sync/compute?seconds=2", 1) as (computing,):
        for _ in range(5):
            assert get(port, "/sync/quick").json() == "quick"
            assert get(port, "/async/quick").json() == "quick"
        computing.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            computing.socket.recv(1)
        computing.socket.settimeout(30)
        assert computing.read_reply().json() == "computed"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_request_starts_with_a_clean_context(port: int, kind: str) -> None:
    with Connection(port) as connection:
        for n in range(50):
            assert connection.request("GET", f"/{kind}/context/v{n}").json() == ["unset", f"v{n}"]


def test_contexts_of_parallel_requests_stay_apart(port: int) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(port)) for _ in range(50)]
        for _ in range(5):
            for n, connection in enumerate(connections):
                connection.send_request("GET", f"/{['sync/context', 'async/context', 'async/task'][n % 3]}/v{n}")
            for n, connection in enumerate(connections):
                expected: object = f"v{n}" if n % 3 == 2 else ["unset", f"v{n}"]
                assert connection.read_reply().json() == expected


def test_where_handlers_run(pair: Pair) -> None:
    assert pair.same("GET", "/sync/where").json() == {"loop": False, "main": False}
    assert pair.same("GET", "/async/where").json() == {"task": True, "same_loop": True}
    assert pair.same("GET", "/async/timeout").json() == "timed out"
    assert pair.same("GET", "/async/thread").json() == "unset"
