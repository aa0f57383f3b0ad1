"""What shows only in many requests. A short version of each; `make soak` runs the long ones and prints their figures."""

from __future__ import annotations

import base64
import contextlib
import random
import resource
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness.servers import ServerProcess, start_bimetal, until
from harness.soak import LONG, many_descriptors, resident, until_idle
from harness.wire import Connection, get

pytestmark = pytest.mark.bimetal_only

#: What an idle connection may have, in bytes.
IDLE = 9 * 1024

WAYS = ("def", "blocks", "async", "waits")
HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode()),
]
BATCH = 32
"""Requests that a client sends before it reads the first answer."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """With as many descriptors as the system allows, for this process and its server."""
    arguments = ("--native", "/health=health", "--io-threads", "2", "--probes")
    with many_descriptors(), start_bimetal("echoes:app", *arguments) as server:
        yield server.wait_ready()


@dataclass
class Echoed:
    answers: int = 0
    cancelled: int = 0
    crossed: int = 0


def echo(port: int, client: int, requests: int) -> Echoed:
    """Sends batches of requests with a nonce each, and goes away in the middle of one in ten."""
    chance = random.Random(client)
    echoed = Echoed()
    sent = 0
    while sent < requests:
        with Connection(port) as connection:
            leaves = False
            while sent < requests and not leaves:
                nonces = [f"{client}-{number}" for number in range(sent, sent + BATCH)]
                sent += BATCH
                heads = (f"GET /{chance.choice(WAYS)}/{nonce} HTTP/1.1\r\nHost: test\r\n\r\n" for nonce in nonces)
                connection.send("".join(heads).encode())
                leaves = chance.random() < 0.1
                read = chance.randrange(BATCH) if leaves else BATCH
                for nonce in nonces[:read]:
                    answer = connection.read_reply()
                    echoed.answers += 1
                    echoed.crossed += answer.status != 200 or answer.json() != nonce
                echoed.cancelled += BATCH - read
    return echoed


@pytest.mark.timeout(7200 if LONG else 120)
def test_no_answer_is_crossed(server: ServerProcess) -> None:
    clients, each = 16, 312_500 if LONG else 640
    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(lambda client: echo(server.port, client, each), range(clients)))
    answers = sum(result.answers for result in results)
    cancelled = sum(result.cancelled for result in results)
    print(f"{answers:,} answers, {cancelled:,} requests given up")
    assert sum(result.crossed for result in results) == 0
    assert answers + cancelled >= clients * each
    assert answers > cancelled > 0
    # What was given up is over, too: the next request is answered by a server with nothing in flight.
    until_idle(server)


@pytest.mark.timeout(600 if LONG else 120)
def test_idle_connections_are_small(server: ServerProcess) -> None:
    count = 10_000 if LONG else 1_000
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < count + 100:
        pytest.skip(f"the system allows {allowed} descriptors")
    connections: list[socket.socket] = []
    try:
        # What the first ones leave is there for all that follow.
        for _ in range(100):
            get(server.port, "/health")
        before = resident(server.pid)
        request = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            connections.append(connection)
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        used = (resident(server.pid) - before) / count
        if LONG:
            # What a few give back stays with the allocator; runtime/tests/idle.rs counts it.
            until(lambda: resident(server.pid) - before <= count * IDLE, f"{IDLE} bytes for a connection that is idle")
        idle = (resident(server.pid) - before) / count
    finally:
        for connection in connections:
            connection.close()
    print(f"{used:,.0f} bytes for each of {count:,} connections, {idle:,.0f} when they have been idle for a while")
    assert used <= 24 * 1024


@pytest.mark.timeout(600 if LONG else 120)
def test_compression_keeps_little_of_a_websocket() -> None:
    """Beside the same WebSockets without it: each has sent a message and got it back, and is idle then."""
    count = 1_000 if LONG else 200
    text = " ".join(str(n) for n in range(2_000)).encode()
    compressor = zlib.compressobj(wbits=-12)
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    each: dict[str, float] = {}
    for offer, first, payload in (
        ("none", 0x81, text),
        ("permessage-deflate; client_max_window_bits", 0xC1, data[:-4]),
    ):
        frame = bytes([first, 0xFE]) + len(payload).to_bytes(2, "big") + bytes(4) + payload
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(start_bimetal("sockets:app")).wait_ready()
            for number in range(count + 50):
                # What the first ones leave is there for all that follow.
                if number == 50:
                    before = resident(server.pid)
                connection = stack.enter_context(Connection(server.port))
                connection.send_request("GET", "/echo", [*HANDSHAKE, ("Sec-WebSocket-Extensions", offer)])
                assert connection.read_head().status == 101
                connection.send(frame)
                head = connection.reader.read(4)
                assert head[0] == first
                connection.reader.read(int.from_bytes(head[2:], "big"))
            each[offer] = (resident(server.pid) - before) / count
    plain, compressed = each.values()
    print(f"{plain:,.0f} bytes for each of {count:,} idle WebSockets, {compressed:,.0f} with compression")
    assert compressed - plain <= 24 * 1024
