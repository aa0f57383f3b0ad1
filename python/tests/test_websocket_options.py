"""What the options of WebSockets do: compression, pings, sizes, and the end of the server; beside uvicorn."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from harness.servers import ServerProcess, start_bimetal, start_uvicorn
from harness.wire import Connection, get

APP = "sockets:app"
HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode()),
]
MEBIBYTE = 1024 * 1024

#: With the same options, which have the same names.
SERVERS = [pytest.param(start_bimetal, id="ours"), pytest.param(start_uvicorn, id="reference")]
Start = Callable[..., ServerProcess]


def open_raw(port: int, target: str, offer: str | None = None) -> Connection:
    """A WebSocket of which the test sees every byte."""
    connection = Connection(port)
    offers = [("Sec-WebSocket-Extensions", offer)] if offer else []
    connection.send_request("GET", target, [*HANDSHAKE, *offers])
    assert connection.read_head().status == 101
    return connection


def frame(first: int, payload: bytes) -> bytes:
    """With a mask of zeros."""
    return bytes([first, 0x80 | 127]) + len(payload).to_bytes(8, "big") + bytes(4) + payload


def zeros(mebibytes: int) -> bytes:
    """So many mebibytes of zeros, as the data of a compressed message."""
    compressor = zlib.compressobj(9, wbits=-15)
    one = compressor.compress(bytes(MEBIBYTE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return one * mebibytes + b"\0"


def close_of(connection: Connection) -> tuple[int, str]:
    """The close frame that the server sends before it ends the connection; pings may come before it."""
    data = connection.reader.read()
    while data[0] in (0x89, 0x81, 0x82):
        data = data[2 + data[1] :]
    assert data[0] == 0x88
    return int.from_bytes(data[2:4], "big"), data[4 : 2 + data[1]].decode()


OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=9; server_max_window_bits=10",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=15, permessage-deflate",
    "permessage-deflate; unknown=1, permessage-deflate; client_max_window_bits=15",
    'permessage-deflate; client_max_window_bits="12"',
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "x-webkit-deflate-frame",
    "permessage-deflate;;",
]


def test_compression_is_agreed_on_as_by_uvicorn() -> None:
    agreed = []
    for start in (start_bimetal, start_uvicorn):
        with start(APP) as server:
            server.wait_ready()
            replies = []
            for offer in OFFERS:
                with Connection(server.port) as connection:
                    connection.send_request("GET", "/echo", [*HANDSHAKE, ("Sec-WebSocket-Extensions", offer)])
                    reply = connection.read_head()
                    replies.append((offer, reply.status, reply.header("sec-websocket-extensions")))
            agreed.append(replies)
    assert agreed[0] == agreed[1]
    assert agreed[0][0] == ("permessage-deflate", 101, "permessage-deflate; server_max_window_bits=12")


@pytest.mark.parametrize("start", SERVERS)
def test_messages_refer_to_those_before_them(start: Start) -> None:
    """The client's zlib has one stream for all messages, as the standard has it."""
    with start(APP) as server:
        server.wait_ready()
        with connect(f"ws://127.0.0.1:{server.port}/echo", compression="deflate") as ws:
            assert ws.protocol.extensions
            texts = [json.dumps({"user": n, "text": "the same as before " * (n % 7)}) for n in range(200)]
            for n, text in enumerate(texts):
                ws.send(text if n % 3 else text.encode())
                assert ws.recv(timeout=30) == (text if n % 3 else text.encode())
            ws.send([text[:40] for text in texts])
            assert ws.recv(timeout=30) == "".join(text[:40] for text in texts)


@pytest.mark.parametrize("start", SERVERS)
def test_without_compression(start: Start) -> None:
    with start(APP, "--ws-per-message-deflate", "false") as server:
        server.wait_ready()
        with connect(f"ws://127.0.0.1:{server.port}/echo", compression="deflate") as ws:
            assert not ws.protocol.extensions
            ws.send("x" * 1000)
            assert ws.recv(timeout=30) == "x" * 1000


@pytest.mark.parametrize("start", SERVERS)
def test_the_largest_message(start: Start) -> None:
    with start(APP, "--ws-max-size", "1000") as server:
        server.wait_ready()
        for compression in (None, "deflate"):
            with connect(f"ws://127.0.0.1:{server.port}/echo", compression=compression, max_size=None) as ws:
                ws.send("x" * 1000)
                assert ws.recv(timeout=30) == "x" * 1000
                ws.send("x" * 1001)
                with pytest.raises(ConnectionClosed) as closed:
                    ws.recv(timeout=30)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


@pytest.mark.parametrize("start", SERVERS)
def test_a_client_that_does_not_answer_pings(start: Start) -> None:
    with start(APP, "--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.1") as server:
        server.wait_ready()
        with open_raw(server.port, "/tells") as connection:
            assert close_of(connection) == (1011, "keepalive ping timeout")
        # 1006 by RFC 6455, and where FastAPI's telemetry looks for it; 1005 from uvicorn.
        server.wait_output("disconnect 100")
        # Of one that does, any number is sent.
        with connect(f"ws://127.0.0.1:{server.port}/echo") as ws:
            with pytest.raises(TimeoutError):
                ws.recv(timeout=1)
            ws.send("still")
            assert ws.recv(timeout=30) == "still"


@pytest.mark.parametrize("start", SERVERS)
def test_the_server_stops(start: Start) -> None:
    with start(APP) as server:
        server.wait_ready()
        with connect(f"ws://127.0.0.1:{server.port}/tells") as ws:
            # The handshake is answered before the application waits.
            assert get(server.port, "/http").status == 200
            server.process.terminate()
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(timeout=30)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        server.wait_output("disconnect 1012")


def most_resident(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.mark.bimetal_only
def test_a_bomb_is_not_inflated() -> None:
    bomb = zeros(4096)
    assert len(bomb) < 8 * MEBIBYTE
    with start_bimetal(APP) as server:
        server.wait_ready()
        get(server.port, "/http")
        before = most_resident(server.pid)
        for frames in (frame(0xC2, bomb), frame(0x42, bomb[:1000]) + frame(0x80, bomb[1000:])):
            for _ in range(4):
                with open_raw(server.port, "/echo", "permessage-deflate") as connection:
                    connection.send(frames)
                    assert close_of(connection)[0] == 1009
        grown = most_resident(server.pid) - before
    print(f"{len(bomb):,} bytes that would be 4 GiB: {grown / MEBIBYTE:.0f} MiB")
    assert grown < 128 * MEBIBYTE


@pytest.mark.bimetal_only
def test_what_waits_for_the_application_is_bounded_by_its_size() -> None:
    """32 messages may wait, and these would be 128 MiB."""
    message = frame(0xC2, zeros(4))
    with start_bimetal(APP, "--ws-max-size", str(4 * MEBIBYTE)) as server:
        server.wait_ready()
        get(server.port, "/http")
        before = most_resident(server.pid)
        with open_raw(server.port, "/late", "permessage-deflate; client_no_context_takeover") as connection:
            connection.send(message * 32)
            get(server.port, "/wake")
            head = connection.reader.read(2)
            assert connection.reader.read(head[1]) == b"32 of 4194304"
        grown = most_resident(server.pid) - before
    print(f"{grown / MEBIBYTE:.0f} MiB")
    assert grown < 64 * MEBIBYTE
