"""Limits and deadlines as an operator sets them: what is beyond them is answered by the server and reaches no handler."""

from __future__ import annotations

import contextlib
import gzip
import socket
from collections.abc import Iterator

import pytest

from harness.servers import ServerProcess, run_bimetal, start_bimetal
from harness.wire import Connection, Reply, get, request

pytestmark = pytest.mark.bimetal_only

SIZES = [
    "--limit-request-line",
    "200",
    "--limit-request-head",
    "2000",
    "--limit-request-fields",
    "20",
    "--max-body",
    "5000",
]
DEADLINES = ["--timeout-head", "0.4", "--timeout-body", "0.4", "--timeout-keep-alive", "1"]


@pytest.fixture(scope="module", params=["app", "asgi"])
def limited(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with start_bimetal(f"strict:{request.param}", *SIZES, "--limit-connections", "50") as server:
        yield server.wait_ready()


@pytest.fixture(scope="module", params=["app", "asgi"])
def impatient(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with start_bimetal(f"strict:{request.param}", *DEADLINES) as server:
        yield server.wait_ready()


def opened(server: ServerProcess, earlier: int) -> Connection:
    """A connection that has had `earlier` requests. On a busy machine they can be late themselves."""
    while True:
        connection = Connection(server.port)
        with contextlib.suppress(ConnectionError):
            if {connection.request("GET", "/e").status for _ in range(earlier)} <= {200}:
                return connection
        connection.close()


def refused(connection: Connection) -> Reply:
    """The answer to what was sent, the last on its connection."""
    reply = connection.read_reply()
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.is_closed_by_server()
    return reply


BEYOND = {
    "line": (b"GET /e?" + b"a" * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "head": (b"GET /e HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 2000 + b"\r\n\r\n", 431),
    "fields": (b"GET /e HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 20 + b"\r\n", 431),
    "declared body": (b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\n\r\n", 413),
}


@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("limit", BEYOND)
def test_beyond_a_limit(limited: ServerProcess, limit: str, earlier: int) -> None:
    raw, status = BEYOND[limit]
    with opened(limited, earlier) as connection:
        connection.send(raw + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused(connection).status == status
    assert get(limited.port, "/count").json() == 0


def test_within_the_limits(limited: ServerProcess) -> None:
    with opened(limited, 1) as connection:
        assert connection.request("GET", "/e?" + "a" * 180).status == 200
        assert connection.request("GET", "/e", [("X-A", "a" * 1900)]).status == 200
        assert connection.request("GET", "/e", [("X-A", "1")] * 19).status == 200
        assert connection.request("POST", "/e", body=b"a" * 5000).status == 200


@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("start", [b"", b"G", b"\r\n", b"GET /e HTTP/1.1\r\nHost: x\r\n"])
def test_a_slow_head(impatient: ServerProcess, start: bytes, earlier: int) -> None:
    with opened(impatient, earlier) as connection:
        connection.send(start)
        if earlier and not start:
            assert connection.is_closed_by_server(), "between requests it is idle"
        else:
            assert refused(connection).status == 408


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"])
def test_a_slow_body(impatient: ServerProcess, framing: bytes) -> None:
    """A handler that reads it itself hears that its client has left: nobody answers."""
    with opened(impatient, 0) as connection:
        connection.send(b"POST /e HTTP/1.1\r\nHost: x\r\n" + framing)
        assert not connection.reader.read().startswith(b"HTTP/1.1 200")


def test_connections_beyond_the_limit_wait_for_others_to_end(limited: ServerProcess) -> None:
    held = [Connection(limited.port) for _ in range(50)]
    with Connection(limited.port) as waiting:
        waiting.send(b"GET /e HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            waiting.socket.recv(1)
        waiting.socket.settimeout(30)
        for connection in held:
            connection.close()
        assert waiting.socket.recv(1) == b"H"


def test_compressed_bodies_are_passed_on_as_they_are() -> None:
    """Nothing inflates them: a bomb is as small as it was sent."""
    bomb = gzip.compress(bytes(50_000_000))
    with start_bimetal("strict:app", "--max-body", str(len(bomb))) as server:
        server.wait_ready()
        for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
            reply = request(server.port, "POST", "/e", [("Content-Encoding", encoding)], bomb)
            assert reply.json()["body"].encode("latin-1") == bomb
        assert request(server.port, "POST", "/e", [("Content-Encoding", "gzip")], bomb + b"x").status == 413


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--limit-request-head", "131073"),
        ("--limit-request-line", "0"),
        ("--limit-request-fields", "97"),
        ("--timeout-head", "0"),
    ],
)
def test_a_limit_that_cannot_be_kept_stops_the_start(option: str, value: str) -> None:
    done = run_bimetal("run", "strict:app", option, value)
    assert done.returncode == 2 and option in done.stderr
