"""Nothing of one request shows in another: one after the other on a connection, and many at the same time."""

from __future__ import annotations

import contextlib

import pytest
from contexts import SETTERS

from harness.compare import Pair
from harness.journal import events_of
from harness.servers import ServerProcess
from harness.wire import Connection

APP = "contexts:app"

OUTCOMES = ["return", "stream", "known"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_is_left_for_the_next_request_on_a_connection(pair: Pair, kind: str) -> None:
    for port in pair.ports:
        with Connection(port) as connection:
            for setter in SETTERS:
                for then in OUTCOMES:
                    connection.request("GET", f"/{kind}/{setter}?then={then}&nonce=left-behind")
                    assert connection.request("GET", f"/{kind}/none").json() == ["unset", "unset"]


@pytest.fixture(params=["ours", "reference"])
def server(pair: Pair, request: pytest.FixtureRequest) -> ServerProcess:
    server: ServerProcess = getattr(pair, request.param)
    return server


@pytest.mark.parametrize(
    ("kind", "parties"),
    # 40 threads are AnyIO's limit, and dependencies need some of them.
    [("sync", 30), ("async", 100)],
)
def test_requests_inside_at_the_same_time_stay_apart(server: ServerProcess, kind: str, parties: int) -> None:
    """Every request leaves its nonce wherever it can, waits until all others have done so, and finds its own again."""
    expected_events = set()
    before = server.output_size
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(server.port)) for _ in range(parties)]
        for meeting in range(4):
            nonces = [f"{kind}-{meeting}-{number}" for number in range(parties)]
            for number, (connection, nonce) in enumerate(zip(connections, nonces, strict=True)):
                target = f"/meet/{kind}/{kind}{meeting}/{parties}?nonce={nonce}"
                connection.send_request("GET", target + ("&refuse=1" if number % 5 == 4 else ""))
            for number, (connection, nonce) in enumerate(zip(connections, nonces, strict=True)):
                reply = connection.read_reply()
                expected_events.add(f"exit of {nonce} sees {nonce}")
                if number % 5 == 4:
                    assert (reply.status, reply.json()) == (409, {"detail": f"refused {nonce}"})
                    assert (reply.header("x-refused"), reply.header("x-nonce")) == (nonce, None)
                    continue
                assert reply.json() == [[nonce] * 5] * 2
                assert reply.header("x-nonce") == nonce
                assert reply.header("set-cookie") == f"nonce={nonce}; Path=/; SameSite=lax"
                expected_events.add(f"background of {nonce}")
    for event in expected_events:
        server.wait_output(f"~ {event}\n")
    # What an earlier test has set off may still end.
    events = [event for event in events_of(server, before) if event.startswith(("exit of", "background of"))]
    assert len(events) == len(expected_events) and set(events) == expected_events
