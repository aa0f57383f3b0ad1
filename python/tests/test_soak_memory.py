"""Many requests of every kind, a tenth of them given up in the middle: memory and descriptors stay what they were."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.sync.client import connect

from harness.servers import ServerProcess, start_bimetal
from harness.soak import LONG, descriptors, resident, until_descriptors, until_idle
from harness.wire import Connection, get, json_body

pytestmark = pytest.mark.bimetal_only

CLIENTS = 8
REQUESTS = 1_000_000 if LONG else 20_000
#: What the process may grow by after the warm-up, in bytes. In a short run its pools still fill.
GROWTH = (5 if LONG else 20) * 1024 * 1024
#: How often the memory is looked at. The first quarter is the warm-up; what the second and the last have in the middle is compared.
LOOKS = 20 if LONG else 4

LANES = ("/health", "/sync/{}?q=a", "/async/{}?q=%20", "/mounted/{}")
REFUSED = {"/nowhere": 404, "/sync/many": 422, "/fails": 500}


class Mixed:
    """A client; one connection, and others for what needs its own."""

    def __init__(self, port: int, number: int) -> None:
        self.port = port
        self.chance = random.Random(number)
        self.requests = 0
        self.given_up = 0
        self.connection = Connection(port)
        self.http2 = httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.kinds: dict[Callable[[], int], int] = {
            self.pipelined: 6,
            self.refusals: 1,
            self.bodies: 3,
            self.streamed: 1,
            self.websocket: 1,
            self.over_http2: 1,
            self.leaves: 12,
        }

    def close(self) -> None:
        self.connection.close()
        self.http2.close()

    def ask(self, count: int) -> None:
        """About so many requests."""
        until = self.requests + count
        kinds, weights = list(self.kinds), list(self.kinds.values())
        while self.requests < until:
            for kind in self.chance.choices(kinds, weights, k=25):
                self.requests += kind()

    def target(self) -> str:
        return self.chance.choice(LANES).format(self.chance.randrange(1000))

    def pipelined(self) -> int:
        targets = [self.target() for _ in range(16)]
        self.connection.send(b"".join(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for target in targets))
        for target in targets:
            reply = self.connection.read_reply()
            assert reply.status == 200, (target, reply)
        return len(targets)

    def refusals(self) -> int:
        for target, status in REFUSED.items():
            assert self.connection.request("GET", target).status == status, target
        assert self.connection.request("DELETE", "/items").status == 405
        headers, body = json_body({"name": 1})
        assert self.connection.request("POST", "/items", headers, body).status == 422
        return len(REFUSED) + 2

    def bodies(self) -> int:
        headers, body = json_body({"name": "x" * self.chance.randrange(2000), "count": 3})
        reply = self.connection.request("POST", "/items", headers, body)
        assert (reply.status, reply.json()["count"]) == (200, 3)
        pieces = [b"y" * self.chance.randrange(1, 20_000) for _ in range(4)]
        size = sum(map(len, pieces))
        assert self.connection.request("POST", "/upload", body=b"".join(pieces)).json() == size
        assert self.connection.request("POST", "/upload", body=iter(pieces)).json() == size
        return 3

    def streamed(self) -> int:
        count = self.chance.randrange(8)
        assert len(self.connection.request("GET", f"/stream/{count}").body) == count * 4096
        return 1

    def websocket(self) -> int:
        with connect(f"ws://127.0.0.1:{self.port}/echo", compression=None) as socket:
            for number in range(3):
                socket.send(str(number))
                assert socket.recv() == str(number)
        return 1

    def over_http2(self) -> int:
        for target in (self.target(), "/stream/2", "/nowhere", self.target()):
            assert self.http2.get(target).status_code == (404 if target == "/nowhere" else 200)
        return 4

    def leaves(self) -> int:
        """Gives a request up: unanswered, half answered, half sent."""
        kind = self.chance.randrange(4)
        with Connection(self.port) as connection:
            if kind == 0:
                connection.send(f"GET {self.target()} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            elif kind == 1:
                connection.send_request("GET", "/stream/400")
                connection.read_head()
            elif kind == 2:
                connection.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n" + b"z" * 5000)
            else:
                connection.send(b"POST /items HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        self.given_up += 1
        return 1


@pytest.mark.timeout(7200 if LONG else 240)
def test_memory_stays() -> None:
    arguments = ("--http2", "--probes", "--native", "/health=health", "--io-threads", "2")
    with start_bimetal("soaking:app", *arguments) as server:
        server.wait_ready()
        # It is bound before it is there.
        for target in LANES:
            assert get(server.port, target.format(1)).status == 200
        until_idle(server)
        before = descriptors(server.pid)
        clients = [Mixed(server.port, number) for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            sizes = [look(server, pool, clients) for _ in range(LOOKS)]
        for client in clients:
            client.close()
        until_idle(server)
        report(clients, sizes)
        until_descriptors(server, before)
    requests, given_up = totals(clients)
    assert requests >= REQUESTS
    assert given_up * 20 >= requests
    assert growth(sizes) <= GROWTH


def totals(clients: list[Mixed]) -> tuple[int, int]:
    return sum(client.requests for client in clients), sum(client.given_up for client in clients)


def growth(sizes: list[int]) -> int:
    quarter = len(sizes) // 4
    return statistics.median_high(sizes[-quarter:]) - statistics.median_high(sizes[quarter : 2 * quarter])


def report(clients: list[Mixed], sizes: list[int]) -> None:
    requests, given_up = totals(clients)
    looks = " ".join(f"{size / 2**20:.1f}" for size in sizes)
    grown = growth(sizes) / 2**20
    print(
        f"{requests:,} requests, {given_up:,} given up; {grown:+.1f} MiB since the warm-up; MiB at each look: {looks}"
    )


def look(server: ServerProcess, pool: ThreadPoolExecutor, clients: list[Mixed]) -> int:
    """The server's memory after a share of the requests, once it has nothing to do."""
    list(pool.map(lambda client: client.ask(REQUESTS // CLIENTS // LOOKS), clients))
    until_idle(server)
    return resident(server.pid)
