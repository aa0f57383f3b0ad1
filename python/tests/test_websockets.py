"""WebSockets: messages, closing from both sides, refusal, dependencies, many at once."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness.compare import Pair, comparable
from harness.servers import REFERENCE_ONLY, ServerProcess
from harness.wire import Connection, Reply, get

APP = "sockets:app"
HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode()),
]


@pytest.fixture(params=["ours", "reference"])
def server_of_pair(pair: Pair, request: pytest.FixtureRequest) -> ServerProcess:
    server: ServerProcess = getattr(pair, request.param)
    return server


@pytest.fixture
def port(server_of_pair: ServerProcess) -> int:
    return server_of_pair.port


def open_socket(port: int, target: str, **options: Any) -> ClientConnection:
    options.setdefault("compression", None)
    socket: ClientConnection = connect(f"ws://127.0.0.1:{port}{target}", open_timeout=30, close_timeout=30, **options)
    return socket


def both(pair: Pair, script: Callable[[int], Any]) -> Any:
    """What a script sees on each server must be the same."""
    ours, reference = (script(port) for port in pair.ports)
    assert ours == reference
    return ours


MESSAGES = [
    "text", "", "grüezi 🦀", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536, "x" * 1_000_000, b"", b"\x00\xff", bytes(range(256)) * 4000,
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: f"{type(m).__name__} {len(m)}")
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_echo(port: int, message: str | bytes, compression: str | None) -> None:
    with open_socket(port, "/echo", compression=compression, max_size=None) as ws:
        ws.send(message)
        assert ws.recv(timeout=30) == message


def test_many_messages_keep_their_order(port: int) -> None:
    with open_socket(port, "/echo") as ws:
        for n in range(500):
            ws.send(str(n))
        assert [ws.recv(timeout=30) for _ in range(500)] == [str(n) for n in range(500)]


def test_fragments_become_one_message(port: int) -> None:
    with open_socket(port, "/echo") as ws:
        ws.send(["one ", "two ", "three"])
        assert ws.recv(timeout=30) == "one two three"


def test_a_ping_is_answered(port: int) -> None:
    with open_socket(port, "/echo") as ws:
        assert ws.ping(b"are you there").wait(30)
        ws.send("still")
        assert ws.recv(timeout=30) == "still"


def test_json_and_parameters(pair: Pair) -> None:
    def script(port: int) -> Any:
        with open_socket(port, "/json/7?q=a+b", additional_headers={"X": "y"}) as ws:
            ws.send('{"ü": [1, 2.5, null]}')
            return ws.recv(timeout=30)

    assert json.loads(both(pair, script)) == {"n": 7, "q": "a b", "x": "y", "data": {"ü": [1, 2.5, None]}}


def test_scope(pair: Pair) -> None:
    def script(port: int) -> Any:
        options = {"additional_headers": [("X-B", "1"), ("X-A", "2"), ("Cookie", "a=1")], "subprotocols": ["p1", "p2"]}
        with open_socket(port, "/scope/a%20b/c%2Fd?x=1&y=%C3%A4", **options) as ws:
            seen = json.loads(ws.recv(timeout=30))
            seen["url"] = seen["url"].replace(str(port), "PORT")
            return seen

    seen = both(pair, script)
    assert seen["path"] == "/scope/a b/c/d" and seen["raw_path"] == "/scope/a%20b/c%2Fd"
    assert seen["extensions"] == ["websocket.http.response"] and seen["subprotocols"] == ["p1", "p2"]


@pytest.mark.parametrize("target", ["1000", "1001", "3000", "4999?reason=enough", "1011?reason=gr%C3%BC%C3%9Fe"])
def test_the_server_closes(pair: Pair, target: str) -> None:
    def script(port: int) -> Any:
        with open_socket(port, f"/server-closes/{target}") as ws:
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(timeout=30)
            return closed.value.rcvd and (closed.value.rcvd.code, closed.value.rcvd.reason)

    assert str(both(pair, script)[0]) in target


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "leaving"), (3000, "ü"), (4321, "mine")])
def test_the_client_closes(pair: Pair, code: int, reason: str) -> None:
    def script(port: int) -> Any:
        with open_socket(port, "/client-closes") as ws:
            ws.close(code, reason)
        return get(port, "/notes?until=closed").json()

    assert both(pair, script) == [f"{code} {reason}", "closed"]


def test_the_client_vanishes(pair: Pair) -> None:
    """Without a close frame the code is 1006 by RFC 6455, which FastAPI's telemetry takes for an error; uvicorn says 1005."""

    def script(port: int) -> Any:
        with Connection(port) as connection:
            connection.send_request("GET", "/client-closes", HANDSHAKE)
            assert connection.read_head().status == 101
        return get(port, "/notes?until=closed").json()

    ours, uvicorn = (script(port)[0].split() for port in pair.ports)
    assert ours == ["1005" if REFERENCE_ONLY else "1006"] and uvicorn == ["1005"]


def handshake(port: int, target: str, headers: list[tuple[str, str]]) -> Reply:
    with Connection(port) as connection:
        connection.send_request("GET", target, headers)
        reply = connection.read_head()
        if reply.status != 101:
            reply.body = b"".join(connection.body(reply))
        return reply


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/refuse", 403),
        ("/denial", 429),
        ("/guarded", 403),
        ("/validated/x", 403),
        ("/nothing", 403),
        ("/boom/before", 500),
    ],
)
def test_a_refused_handshake(pair: Pair, target: str, status: int) -> None:
    replies = [handshake(port, target, HANDSHAKE) for port in pair.ports]
    assert [reply.status for reply in replies] == [status, status]
    if target == "/denial":
        assert comparable(replies[0]) == comparable(replies[1])
        assert replies[0].body == replies[1].body == b"not today"


def test_the_handshake_itself(pair: Pair) -> None:
    reply = handshake(pair.ours.port, "/subprotocol", [*HANDSHAKE, ("Sec-WebSocket-Protocol", "v1, v2")])
    assert reply.status == 101
    assert reply.header("sec-websocket-accept") == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
    assert reply.header("sec-websocket-protocol") == "v2"
    assert reply.header("x-accepted") == "yes"


@pytest.mark.parametrize(("offered", "chosen"), [(["v1", "v2"], "v2"), (["v1"], None), ([], None)])
def test_subprotocols(port: int, offered: list[str], chosen: str | None) -> None:
    with open_socket(port, "/subprotocol", subprotocols=offered or None) as ws:
        assert ws.subprotocol == chosen
        assert json.loads(ws.recv(timeout=30)) == offered


def test_dependencies(port: int) -> None:
    with open_socket(port, "/guarded?token=ann") as ws:
        assert ws.recv(timeout=30) == "hello ann"
    with open_socket(port, "/guarded", additional_headers={"Cookie": "cookie=ben"}) as ws:
        assert ws.recv(timeout=30) == "hello ben"
    assert get(port, "/notes?until=dependency%20exit").json()[0] == "dependency exit"
    with pytest.raises(InvalidStatus), open_socket(port, "/guarded"):
        pass


@pytest.mark.parametrize(("target", "codes"), [("/late-exception", {4001}), ("/boom/after", {1011, None})])
def test_an_exception_after_accept(server_of_pair: ServerProcess, target: str, codes: set[int | None]) -> None:
    """A WebSocketException chooses the code; anything else is an internal error (uvicorn only drops the connection)."""
    with open_socket(server_of_pair.port, target) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
        assert (closed.value.rcvd.code if closed.value.rcvd else None) in codes
    if target.startswith("/boom"):
        server_of_pair.wait_output("boom after accept")
    assert get(server_of_pair.port, "/http").json() == "http"


def test_sending_after_close_raises(pair: Pair) -> None:
    def script(port: int) -> Any:
        with open_socket(port, "/send-after-close"):
            return get(port, "/notes?until=tried").json()[-1]

    both(pair, script)


def test_both_sides_talk_at_once(port: int) -> None:
    with open_socket(port, "/push/300") as ws:
        ws.send("hello")
        received = [ws.recv(timeout=30) for _ in range(301)]
    assert received == [*map(str, range(300)), "heard you"]


def test_a_room_of_many(port: int) -> None:
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(open_socket(port, f"/room/{n}")) for n in range(40)]
        for n, member in enumerate(members):
            assert member.recv(timeout=30) == f"welcome {n}"
        members[0].send("hello all")
        assert {member.recv(timeout=30) for member in members} == {"0: hello all"}
        assert get(port, "/http").status == 200


def test_a_plain_request_to_a_websocket_route(pair: Pair) -> None:
    assert pair.same("GET", "/echo").status == 404
    assert (
        handshake(pair.ours.port, "/http", HANDSHAKE).status
        == handshake(pair.reference.port, "/http", HANDSHAKE).status
    )


@pytest.mark.parametrize(
    ("change", "statuses"),
    [
        ({"Sec-WebSocket-Version": "12"}, {400, 426}),
        ({"Sec-WebSocket-Key": "short"}, {400}),
        ({"Sec-WebSocket-Key": None}, {400}),
    ],
    ids=str,
)
def test_a_malformed_handshake(port: int, change: dict[str, str | None], statuses: set[int]) -> None:
    lines = [(name, change.get(name, value)) for name, value in HANDSHAKE]
    reply = handshake(port, "/echo", [(name, value) for name, value in lines if value is not None])
    assert reply.status in statuses
    assert get(port, "/http").status == 200


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x03abc", 1002),
        (b"\x83\x80" + bytes(4), 1002),
        (b"\xc1\x80" + bytes(4), 1002),
        (b"\x81\x82" + bytes(4) + b"\xff\xff", 1007),
        (b"\x89\xfe\x00\x7e" + bytes(4) + bytes(126), 1002),
    ],
    ids=["unmasked", "unknown opcode", "reserved bit", "invalid UTF-8", "long ping"],
)
def test_a_frame_against_the_protocol(port: int, frame: bytes, code: int) -> None:
    """The connection is failed with the code of RFC 6455; the server goes on."""
    with Connection(port) as connection:
        connection.send_request("GET", "/echo", HANDSHAKE)
        assert connection.read_head().status == 101
        connection.send(frame)
        answer = connection.reader.read()
    assert answer[:1] == b"\x88" and int.from_bytes(answer[2:4], "big") == code
    assert get(port, "/http").status == 200
