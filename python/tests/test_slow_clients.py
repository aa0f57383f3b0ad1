"""A thousand clients that take their time, in every way there is. With `SOAK=long` they meet the deadlines that are the
defaults, which takes a minute; otherwise short ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from harness.servers import START_TIMEOUT, start_bimetal, until
from harness.soak import LONG, Load, descriptors, load_client, many_descriptors, open_loop, until_descriptors
from harness.tls import Issued
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

EACH = 200
#: Of a head, a body and a handshake, in seconds.
HEAD, BODY, HANDSHAKE = (30.0, 60.0, 10.0) if LONG else (2.0, 2.0, 2.0)
DEADLINES = [f"--timeout-head={HEAD}", f"--timeout-body={BODY}", f"--handshake-timeout={HANDSHAKE}"]
#: Of those who are not slow: requests a second on each of two routes, for so many seconds.
RATE, SECONDS = 200, 20.0 if LONG else 1.0
#: Of a response that nobody takes, of 4 KiB each: more than any buffer has room for.
CHUNKS = 5000
#: What hangs has hung by then.
HANG = BODY + 2 * START_TIMEOUT

HEALTH = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
BEGUN = b"GET /health HTTP/1.1\r\nHost: test\r\nX-Slow: "


class Slow:
    """One way to be slow; on a connection of its own each time."""

    def __init__(self, port: int, secure_port: int) -> None:
        self.port = port
        self.secure_port = secure_port
        #: How many have come to where they are slow.
        self.begun = 0
        #: The server has no connection left. It is asked, because a client that does not read does not see its end.
        self.reaped = asyncio.Event()

    async def _until_closed(self, reader: asyncio.StreamReader) -> bytes:
        """What the server says, which then closes."""
        self.begun += 1
        answer = b""
        # A connection that is closed before all of what was sent has been read is reset.
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(4096):
                answer += piece
        return answer

    async def _head(self, earlier: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for _ in range(earlier):
            writer.write(HEALTH)
            await reader.readuntil(b'{"status":"ok"}')
        trickling = asyncio.create_task(trickle(writer))
        answer = await self._until_closed(reader)
        trickling.cancel()
        writer.close()
        return status(answer)

    async def first_head(self) -> str:
        return await self._head(0)

    async def later_head(self) -> str:
        return await self._head(2)

    async def body(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        kind = b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        writer.write(b"POST /items HTTP/1.1\r\nHost: test\r\n" + kind + b'{"name":')
        answer = await self._until_closed(reader)
        writer.close()
        return status(answer)

    async def reader(self) -> str:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=4096)
        writer.write(f"GET /stream/{CHUNKS} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        self.begun += 1
        await self.reaped.wait()
        writer.close()
        return "given up"

    async def handshake(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.secure_port)
        # The beginning of a record that does not come.
        writer.write(b"\x16\x03\x01")
        answer = await self._until_closed(reader)
        writer.close()
        return answer.decode() or "closed"


async def trickle(writer: asyncio.StreamWriter) -> None:
    for byte in BEGUN + b"a" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(HEAD / 5)


def status(answer: bytes) -> str:
    head = answer.split(b"\r\n", 1)[0].decode("latin-1")
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    return head.removeprefix("HTTP/1.1 ") or "closed"


async def attack(
    slow: Slow, meanwhile: Callable[[], object], is_reaped: Callable[[], bool]
) -> Counter[tuple[str, str]]:
    """The outcomes of all slow clients; `meanwhile` is done as soon as all of them are at it."""
    ways: list[Callable[[], Awaitable[str]]] = [
        slow.first_head,
        slow.later_head,
        slow.body,
        slow.reader,
        slow.handshake,
    ]

    async def outcome(way: Callable[[], Awaitable[str]]) -> tuple[str, str]:
        return way.__name__, await way()

    tasks = [asyncio.create_task(outcome(way)) for _ in range(EACH) for way in ways]
    while slow.begun < len(tasks) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.01)
    await asyncio.to_thread(meanwhile)
    while not await asyncio.to_thread(is_reaped):
        await asyncio.sleep(0.1)
    slow.reaped.set()
    return Counter(await asyncio.gather(*tasks))


@pytest.mark.timeout(HANG * 2)
def test_a_thousand_slow_clients(issued: Issued) -> None:
    client = load_client()
    figures: dict[str, list[Load]] = {"/health": [], "/async/1": []}
    arguments = ("soaking:app", "--native", "/health=health", "--probes", *DEADLINES)
    with (
        many_descriptors(),
        start_bimetal(*arguments) as server,
        start_bimetal(*arguments, *issued.options) as secure,
    ):
        for each in (server, secure):
            each.wait_ready()

        def measure() -> None:
            for path, loads in figures.items():
                loads.append(open_loop(client, server.port, path, rate=RATE, seconds=SECONDS, timeout=HANG))

        measure()
        until(lambda: connections(server.port) == 1, "the end of the load")
        before = [descriptors(each.pid) for each in (server, secure)]
        slow = Slow(server.port, secure.port)
        attacked = attack(slow, measure, lambda: connections(server.port) == 1)
        outcomes = asyncio.run(asyncio.wait_for(attacked, HANG))
        assert outcomes == {
            ("first_head", "408 Request Timeout"): EACH,
            ("later_head", "408 Request Timeout"): EACH,
            ("body", "408 Request Timeout"): EACH,
            ("reader", "given up"): EACH,
            ("handshake", "closed"): EACH,
        }
        for each, baseline in zip((server, secure), before, strict=True):
            until_descriptors(each, baseline)
    for path, (alone, beside) in figures.items():
        print(f"{path}: p99 {alone.p99_ms:.2f} ms alone, {beside.p99_ms:.2f} ms beside {5 * EACH:,} slow clients")
        for load in (alone, beside):
            assert load.answered == load.sent


def connections(port: int) -> int:
    """Open ones, that of the question included."""
    text = get(port, "/metrics").text
    return next(int(line.split()[-1]) for line in text.splitlines() if line.startswith("bimetal_connections "))
