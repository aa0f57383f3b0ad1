"""Requests against the protocol: a 4xx or a closed connection, never a second answer, and the server goes on."""

from __future__ import annotations

import pytest

from harness.servers import ServerProcess, start_bimetal
from harness.wire import Connection, get, request

APP = "connections:app"

#: Raw request, and the statuses that are right. None: closing without an answer is right too.
MALFORMED: dict[str, tuple[bytes, set[int | None]]] = {
    "not http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400, None}),
    "words": (b"hello there\r\n\r\n", {400}),
    "no version": (b"GET /n/1\r\n\r\n", {400, None}),
    "bad version": (b"GET /n/1 HTTP/9.9\r\nHost: x\r\n\r\n", {400, 505}),
    "lower case version": (b"GET /n/1 http/1.1\r\nHost: x\r\n\r\n", {400}),
    "space in target": (b"GET /n/1 2 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "bad method": (b"G{T /n/1 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "no colon": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", {400}),
    "space before colon": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n", {400}),
    "folded header": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n  2\r\n\r\n", {400}),
    "nul in header": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n", {400}),
    "bare cr in header": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n", {400}),
    "empty header name": (b"GET /n/1 HTTP/1.1\r\nHost: x\r\n: v\r\n\r\n", {400}),
    "bad content-length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", {400}),
    "negative content-length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
    "signed content-length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", {400}),
    "huge content-length": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        {400, 413},
    ),
    "two content-lengths": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        {400},
    ),
    "length and chunked": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "unknown coding": (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", {400, 501}),
    "chunked not last": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        {400, 501},
    ),
    "bad chunk size": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        {400, None},
    ),
    "chunk too long": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        {400, None},
    ),
    "huge chunk size": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        {400, 413, None},
    ),
}

#: uvicorn's parser lets these pass, so there is nothing to compare with.
OURS_ALONE = {"length and chunked", "unknown coding", "chunked not last", "bad version", "huge content-length"}


def answers(port: int, raw: bytes) -> list[int]:
    """The statuses of everything the server says until it closes (the request ends with a close of our sending side)."""
    statuses = []
    with Connection(port) as connection:
        connection.send(raw)
        connection.socket.shutdown(1)
        try:
            while True:
                statuses.append(connection.read_reply().status)
        except (ConnectionError, ValueError):
            return statuses


def table() -> list[object]:
    marks = {name: [pytest.mark.bimetal_only] for name in OURS_ALONE}
    return [pytest.param(*entry, id=name, marks=marks.get(name, [])) for name, entry in MALFORMED.items()]


@pytest.mark.parametrize(("raw", "right"), table())
def test_malformed_requests(server: ServerProcess, raw: bytes, right: set[int | None]) -> None:
    statuses = answers(server.port, raw)
    assert len(statuses) <= 1, "one request must not get two answers"
    assert (statuses[0] if statuses else None) in right
    assert get(server.port, "/n/1").json() == 1


@pytest.mark.bimetal_only
def test_a_head_that_is_too_large(server: ServerProcess) -> None:
    assert get(server.port, "/n/1", [("X-Large", "v" * 1_000_000)]).status in (400, 431)
    assert get(server.port, "/n/1", [(f"X-{n}", "v") for n in range(5000)]).status in (400, 431)
    assert get(server.port, "/" + "p" * 1_000_000).status in (400, 414, 431)
    assert get(server.port, "/n/1").json() == 1


@pytest.mark.bimetal_only
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("target", ["/echo", "/ignore"])
def test_a_body_that_is_too_large(target: str, chunked: bool) -> None:
    with start_bimetal(APP, "--max-body", "1000") as server:
        server.wait_ready()
        largest, larger = b"x" * 1000, b"x" * 1001
        assert request(server.port, "POST", target, body=[largest] if chunked else largest).status == 200
        if chunked and target == "/ignore":
            return  # a body nobody reads is dropped, and its size with it
        assert request(server.port, "POST", target, body=[larger] if chunked else larger).status == 413
        assert get(server.port, "/n/1").json() == 1


@pytest.mark.bimetal_only
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        connection.send_request("POST", "/echo", [("Content-Length", "100000000")])
        assert connection.read_reply().status == 413


@pytest.mark.parametrize("cut", [1, 10, 40, 60])
def test_a_request_that_ends_early(server: ServerProcess, cut: int) -> None:
    raw = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n01234567890123456789"
    assert answers(server.port, raw[:cut]) in ([], [400])
    assert get(server.port, "/n/1").json() == 1


def test_garbage_between_requests(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        assert connection.request("GET", "/n/1").json() == 1
        connection.send(b"\x00\x01garbage\r\n\r\n")
        assert connection.read_reply().status == 400
        assert connection.is_closed_by_server()


def test_connections_that_say_nothing_are_no_burden(server: ServerProcess) -> None:
    idle = [Connection(server.port) for _ in range(300)]
    try:
        assert get(server.port, "/n/1").json() == 1
    finally:
        for connection in idle:
            connection.close()
    assert get(server.port, "/a/2").json() == 2
