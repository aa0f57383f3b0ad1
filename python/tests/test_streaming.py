"""Streams, server-sent events, uploads, background tasks and clients that leave."""

from __future__ import annotations

import hashlib
import itertools
import socket
import struct
from collections.abc import Callable

import pytest

from harness.compare import Case, Pair, case
from harness.servers import ServerProcess
from harness.wire import Connection, get, request

APP = "streams:app"

names = (f"gate{i}" for i in itertools.count())


@pytest.fixture
def name() -> str:
    """A gate and a list of notes that no other test uses."""
    return next(names)


@pytest.fixture(params=["ours", "reference"])
def port(pair: Pair, request: pytest.FixtureRequest) -> int:
    """Tests of an order of events run on both servers, one after the other."""
    server: ServerProcess = getattr(pair, request.param)
    return server.port


@pytest.mark.parametrize("kind", ["stream/sync", "stream/async", "events/slow"])
def test_the_first_piece_arrives_before_the_last_is_made(port: int, kind: str, name: str) -> None:
    with Connection(port) as connection:
        connection.send_request("GET", f"/{kind}/{name}")
        pieces = connection.body(connection.read_head())
        assert b"first" in next(pieces)
        get(port, f"/open/{name}")
        assert b"last" in b"".join(pieces)


CASES = [
    case("GET", "/stream/many?n=200&size=10"),
    case("GET", "/stream/many?n=100&size=100000"),
    case("GET", "/stream/length"),
    case("GET", "/stream/empty"),
    case("GET", "/events"),
    case("POST", "/events/full"),
    case("GET", "/jsonl"),
    case("GET", "/large?size=20000000"),
    case("POST", "/upload", [], b"x" * 5_000_000),
    case("POST", "/upload", [], b"", note="empty"),
    case("POST", "/upload", [], tuple(bytes([i]) * (i * 37) for i in range(1, 200)), note="chunked"),
    case("POST", "/upload/ignored", [], b"y" * 5_000_000),
]


@pytest.mark.parametrize("request_", CASES, ids=str)
def test_bodies(pair: Pair, request_: Case) -> None:
    pair.check(request_)


def test_events_on_the_wire(pair: Pair) -> None:
    reply = pair.same("GET", "/events")
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert reply.body.startswith('data: {"n":0,"text":"ü"}\n\n'.encode())
    assert b"event: named\ndata: {" in pair.same("POST", "/events/full").body


def test_a_stream_is_sent_as_the_application_yields_it(port: int) -> None:
    """Several pieces, not one: nothing collects a stream before sending it."""
    reply = get(port, "/stream/many?n=50&size=100000")
    assert len(reply.body) == 5_000_000
    assert reply.header("transfer-encoding") == "chunked" and len(reply.chunks) > 1


def test_a_stream_that_fails_is_cut_short(port: int) -> None:
    """The status is already out: all that is left is to end the connection without the last chunk."""
    with Connection(port) as connection:
        connection.send_request("GET", "/stream/fails")
        pieces = connection.body(connection.read_head())
        assert next(pieces) == b"before"
        with pytest.raises((ConnectionError, ValueError)):
            next(pieces)


@pytest.mark.bimetal_only
def test_http_1_0_gets_no_chunks(server: ServerProcess) -> None:
    """RFC 9112, 6.1; uvicorn sends chunks."""
    with Connection(server.port) as connection:
        connection.send(b"GET /stream/many?n=3&size=2 HTTP/1.0\r\nHost: x\r\n\r\n")
        reply = connection.read_head()
        assert (reply.status, reply.header("transfer-encoding")) == (200, None)
        assert connection.reader.read() == b"\x00\x00\x01\x01\x02\x02"


def test_an_upload_is_read_as_it_arrives(port: int, name: str) -> None:
    with Connection(port) as connection:
        connection.send_request("POST", f"/upload/first/{name}", [("Transfer-Encoding", "chunked")])
        connection.send_chunk(b"one")
        assert get(port, f"/notes/{name}?until=got%20one").json() == ["got one"]
        connection.send_chunk(b"two")
        connection.send(b"0\r\nX-Trailer: t\r\n\r\n")
        assert connection.read_reply().json() == "done"
        assert get(port, f"/notes/{name}?until=got%20two").json() == ["got one", "got two"]


def test_a_large_chunked_upload_arrives_whole(port: int) -> None:
    pieces = [bytes([i % 251]) * 65536 for i in range(150)]
    reply = request(port, "POST", "/upload", body=iter(pieces))
    whole = b"".join(pieces)
    assert reply.json() == {"size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}


def test_a_slow_reader_gets_everything(port: int) -> None:
    """Twenty megabytes into a small receive window: the server has to wait for the client, not drop or pile up."""
    with Connection(port) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.send_request("GET", "/stream/many?n=200&size=100000")
        assert sum(len(piece) for piece in connection.body(connection.read_head())) == 20_000_000


def test_background_tasks_run_after_the_response(port: int, name: str) -> None:
    assert get(port, f"/background/{name}").json() == "answered"
    get(port, f"/open/{name}")
    assert get(port, f"/notes/{name}?until=sync%20task").json() == ["async task", "sync task"]


def test_background_of_a_response_object(port: int, name: str) -> None:
    assert get(port, f"/background/response/{name}").json() == {"ok": True}
    assert get(port, f"/notes/{name}?until=of%20the%20response").json() == ["of the response"]


def test_a_failing_background_task_harms_nobody(pair: Pair, name: str) -> None:
    for server in (pair.ours, pair.reference):
        assert get(server.port, f"/background/fails/{name}").json() == "answered"
        server.wait_output("in the background")
        assert get(server.port, "/stream/empty").status == 200


def leave_by_closing(connection: Connection) -> None:
    connection.close()


def leave_by_reset(connection: Connection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("leave", [leave_by_closing, leave_by_reset])
@pytest.mark.parametrize(("route", "seen"), [("poll", "is_disconnected"), ("receive", "http.disconnect")])
def test_a_client_that_leaves_is_noticed(
    port: int, route: str, seen: str, leave: Callable[[Connection], None], name: str
) -> None:
    connection = Connection(port)
    connection.send_request("GET", f"/disconnect/{route}/{name}")
    get(port, f"/notes/{name}?until=waiting")
    leave(connection)
    assert get(port, f"/notes/{name}?until={seen}").json() == ["waiting", seen]


def test_a_client_that_leaves_within_its_body(port: int, name: str) -> None:
    connection = Connection(port)
    connection.send_request("POST", f"/disconnect/body/{name}", [("Content-Length", "100")])
    connection.send(b"only a part")
    get(port, f"/notes/{name}?until=waiting")
    leave_by_closing(connection)
    assert get(port, f"/notes/{name}?until=ClientDisconnect").json() == ["waiting", "ClientDisconnect"]


def test_a_client_that_leaves_a_stream_ends_it(port: int, name: str) -> None:
    connection = Connection(port)
    connection.send_request("GET", f"/stream/until-gone/{name}")
    next(connection.body(connection.read_head()))
    leave_by_closing(connection)
    get(port, f"/notes/{name}?until=generator%20closed")


def test_a_plain_handler_runs_to_its_end(port: int, name: str) -> None:
    connection = Connection(port)
    connection.send_request("GET", f"/disconnect/sync/{name}")
    get(port, f"/notes/{name}?until=waiting")
    leave_by_closing(connection)
    get(port, f"/open/{name}")
    assert get(port, f"/notes/{name}?until=finished").json() == ["waiting", "finished"]
