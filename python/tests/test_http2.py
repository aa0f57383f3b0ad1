"""HTTP/2: the same answers as by HTTP/1.1, on every lane; bounds on what a client may do."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx
import pytest
from websockets.sync.client import connect

from harness.servers import APPS, ServerProcess, free_port, start_bimetal, until
from harness.soak import resident
from harness.tls import Authority, Issued
from harness.wire import TIMEOUT, Connection, get

pytestmark = pytest.mark.bimetal_only

HOST = (":authority", "testserver")
HEADERS, GOAWAY = 1, 7


@dataclass(frozen=True)
class Goodbye:
    """A GOAWAY frame. `h2` takes the first for the end of the connection, while streams, pings and a second one follow it."""

    error_code: int


class Client:
    """A client that sends what it is told to, frame by frame."""

    def __init__(self, port: int, window: int | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        #: What has come and has not been waited for yet.
        self.events: list[Any] = []
        #: Whether the server wants no further requests.
        self.is_dismissed = False
        self._unread = b""
        if window is not None:
            self.h2.local_settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def request(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...] = (HOST,), end: bool = True
    ) -> int:
        stream: int = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":path", target), (":scheme", "http"), *headers]
        self.h2.send_headers(stream, fields, end_stream=end)
        self.flush()
        return stream

    def wait(self, wanted: Callable[[Any], bool]) -> Any:
        """The next event that is wanted; None where the connection ends first."""
        while True:
            for place, event in enumerate(self.events):
                if wanted(event):
                    return self.events.pop(place)
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._unread += data
            while len(self._unread) >= 9 and len(self._unread) >= (end := 9 + int.from_bytes(self._unread[:3], "big")):
                frame, self._unread = self._unread[:end], self._unread[end:]
                if frame[3] == GOAWAY:
                    self.is_dismissed = True
                    self.events.append(Goodbye(int.from_bytes(frame[13:17], "big")))
                else:
                    self.events += self.h2.receive_data(frame)
            with contextlib.suppress(OSError):
                self.flush()

    def answer(self, stream: int) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields and body of a response."""
        response = self.wait(lambda e: isinstance(e, h2.events.ResponseReceived) and e.stream_id == stream)
        assert response is not None
        body = b""
        while True:
            event = self.wait(
                lambda e: (
                    isinstance(e, h2.events.DataReceived | h2.events.StreamEnded | h2.events.StreamReset)
                    and e.stream_id == stream
                )
            )
            assert event is not None and not isinstance(event, h2.events.StreamReset), event
            if isinstance(event, h2.events.StreamEnded):
                break
            body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            self.flush()
        fields = {name.decode(): value.decode() for name, value in response.headers}
        return int(fields[":status"]), fields, body

    def ping(self) -> Any:
        """The answer to a ping, which comes after all that was sent before has been read."""
        self.h2.ping(b"12345678")
        self.flush()
        return self.wait(lambda e: isinstance(e, h2.events.PingAckReceived))

    def end(self) -> Any:
        """Why the server ends the connection, once it has."""
        last = None
        while (event := self.wait(lambda _: True)) is not None:
            if isinstance(event, Goodbye):
                last = event
        return last


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_bimetal("http2:app", "--http2") as server:
        yield server.wait_ready()


REQUESTS: list[tuple[str, str, bytes | None]] = [
    ("GET", "/native", None),
    ("GET", "/sync/a%20b?q=1&q=2", None),
    ("GET", "/async/caf%C3%A9?q=%3D", None),
    ("POST", "/item", b'{"name": "x", "count": 3}'),
    ("POST", "/item", b'{"name": "x", "count": "many"}'),
    ("POST", "/length", b"x" * 3_000_000),
    ("POST", "/length", b""),
    ("GET", "/stream/500", None),
    ("GET", "/large/3000000", None),
    ("HEAD", "/large/3000000", None),
    ("GET", "/empty", None),
    ("GET", "/fails", None),
    ("GET", "/nothing/here", None),
    ("DELETE", "/native", None),
]


def same(one: httpx.Client, other: httpx.Client) -> None:
    for method, target, body in REQUESTS:
        cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("x-twice", "1"), ("x-twice", "2")]
        headers = [("content-type", "application/json"), *cookies]
        answers = [client.request(method, target, content=body, headers=headers) for client in (one, other)]
        assert answers[0].http_version == "HTTP/2" and answers[1].http_version == "HTTP/1.1"
        assert answers[0].status_code == answers[1].status_code, target
        assert answers[0].content == answers[1].content, target
        fields = [
            sorted(
                (k, v) for k, v in answer.headers.multi_items() if k not in ("date", "connection", "transfer-encoding")
            )
            for answer in answers
        ]
        assert fields[0] == fields[1], target
        assert "date" in answers[0].headers


def test_answers_are_those_of_http_1(authority: Authority, issued: Issued) -> None:
    with start_bimetal("http2:app", "--http2", *issued.options).wait_ready() as server:
        address, context = f"https://127.0.0.1:{server.port}", authority.context()
        with (
            httpx.Client(http2=True, verify=context, base_url=address) as one,
            httpx.Client(verify=context, base_url=address) as other,
        ):
            same(one, other)
            seen = one.get("/scope").json()
            assert seen["http_version"] == "2" and seen["scheme"] == "https"
            assert seen["headers"][0] == ["host", f"127.0.0.1:{server.port}"]
            assert seen["client"][0] == "127.0.0.1" and seen["server"] == ["127.0.0.1", server.port]


def test_without_tls(server: ServerProcess) -> None:
    address = f"http://127.0.0.1:{server.port}"
    with httpx.Client(http1=False, http2=True, base_url=address) as one, httpx.Client(base_url=address) as other:
        same(one, other)
    # What only begins like it is a request of HTTP/1.1, in whatever pieces it comes.
    for pieces in ((b"P", b"OST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", b"x"),):
        with Connection(server.port) as connection:
            for piece in pieces:
                connection.send(piece)
            assert connection.read_reply().json() == 1
    with Connection(server.port) as connection:
        connection.send(b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_reply().status in (400, 404, 405)


def test_it_is_not_spoken_unless_asked_for(authority: Authority, issued: Issued) -> None:
    with start_bimetal("http2:app").wait_ready() as server, Connection(server.port) as connection:
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert connection.reader.readline().startswith(b"HTTP/1.1 4")


def test_requests_run_side_by_side(server: ServerProcess) -> None:
    with Client(server.port) as client:
        held = [client.request("GET", "/held") for _ in range(10)]
        assert client.answer(client.request("GET", "/native"))[0] == 200
        until(lambda: get(server.port, "/waiting").json() == 10, "ten at a time")
        get(server.port, "/go")
        for stream in reversed(held):
            assert client.answer(stream)[0] == 200


def test_cookies_are_one_field(server: ServerProcess) -> None:
    with Client(server.port) as client:
        fields = (HOST, ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"))
        _, _, body = client.answer(client.request("GET", "/scope", fields))
        assert b'["cookie","a=1; b=2"]' in body


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (HOST, ("connection", "close")),
        (HOST, ("transfer-encoding", "chunked")),
        (HOST, ("upgrade", "websocket")),
        (HOST, ("x-bad", "a\r\nb: c")),
        (HOST, ("Upper", "case")),
        (HOST, ("content-length", "7")),
    ],
    ids=str,
)
def test_malformed_requests(server: ServerProcess, fields: tuple[tuple[str, str], ...]) -> None:
    with Client(server.port) as client:
        stream = client.request("GET", "/count", fields)
        event = client.wait(lambda e: isinstance(e, h2.events.ResponseReceived | h2.events.StreamReset | Goodbye))
        if isinstance(event, h2.events.ResponseReceived):
            assert event.stream_id == stream and dict(event.headers)[b":status"] == b"400"
    assert get(server.port, "/count").json() >= 1


def test_a_client_that_goes_away_cancels(server: ServerProcess) -> None:
    before = get(server.port, "/cancelled").json()
    with Client(server.port) as client:
        stream = client.request("GET", "/forever")
        client.wait(lambda e: isinstance(e, h2.events.DataReceived))
        client.h2.reset_stream(stream)
        client.flush()
        until(lambda: get(server.port, "/cancelled").json() == before + 1, "the end of a reset stream")
        client.request("GET", "/forever")
        client.wait(lambda e: isinstance(e, h2.events.DataReceived))
    until(lambda: get(server.port, "/cancelled").json() == before + 2, "the end of a closed connection")


@pytest.mark.parametrize("at_once", [True, False], ids=["unseen", "seen"])
def test_a_flood_of_resets_is_cut_off(server: ServerProcess, at_once: bool) -> None:
    """CVE-2023-44487, rapid reset: requests given up as soon as they are made."""
    with Client(server.port) as client:
        sent = 0
        with contextlib.suppress(ConnectionError):
            for sent in range(1, 5001):
                stream = client.h2.get_next_available_stream_id()
                client.h2.send_headers(
                    stream, [(":method", "GET"), (":path", "/held"), (":scheme", "http"), HOST], end_stream=True
                )
                if not at_once and client.ping() is None:
                    break
                client.h2.reset_stream(stream)
                if sent % 100 == 0 or not at_once:
                    client.flush()
        end = client.end()
        assert end is None or end.error_code == 0xB  # ENHANCE_YOUR_CALM
        assert at_once or sent < 300
    assert get(server.port, "/native").status == 200
    get(server.port, "/go")


def test_streams_at_a_time_are_limited(server: ServerProcess) -> None:
    with Client(server.port) as client:
        assert client.answer(client.request("GET", "/native"))[0] == 200
        assert client.h2.remote_settings.max_concurrent_streams == 100
        # A client that does not care is refused.
        client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.h2.remote_settings.acknowledge()
        streams = [client.request("GET", "/held") for _ in range(101)]
        reset = client.wait(lambda e: isinstance(e, h2.events.StreamReset))
        assert reset.stream_id == streams[100] and reset.error_code == 7  # REFUSED_STREAM
        until(lambda: get(server.port, "/waiting").json() == 100, "a hundred at a time")
        get(server.port, "/go")
        assert client.answer(streams[0])[0] == 200


def test_a_head_that_is_too_large(server: ServerProcess) -> None:
    with Client(server.port) as client:
        stream = client.request("GET", "/native", (HOST, *((f"x-{n}", "x" * 1000) for n in range(40))))
        assert client.answer(stream)[0] == 431
        assert client.answer(client.request("GET", "/native"))[0] == 200


def test_a_bomb_of_a_head(server: ServerProcess) -> None:
    """HPACK: a field of 3,500 bytes that is named 12,000 times, which makes 42 MB of head of 16 KB."""
    assert get(server.port, "/native").status == 200
    before = resident(server.pid)
    for _ in range(20):
        with Client(server.port) as client:
            # The three fields that a request needs, by their numbers in the static table; one that goes into the dynamic
            # table, where it is number 62; and that number, again and again.
            bomb = b"\x82\x84\x86" + b"\x40\x01x" + b"\x7f\xad\x1a" + b"v" * 3500 + b"\xbe" * 12_000
            flags = 0x05  # END_STREAM, END_HEADERS
            client.socket.sendall(
                len(bomb).to_bytes(3, "big") + bytes([HEADERS, flags]) + (1).to_bytes(4, "big") + bomb
            )
            end = client.end()
            assert end is not None and end.error_code == 0xB  # ENHANCE_YOUR_CALM
    assert get(server.port, "/native").status == 200
    assert resident(server.pid) - before < 10 * 2**20


def test_a_body_that_is_too_large(server: ServerProcess) -> None:
    with Client(server.port) as client:
        stream = client.request("POST", "/length", (HOST, ("content-length", "999999999")), end=False)
        assert client.answer(stream)[0] == 413


def test_slow_clients() -> None:
    port = free_port()
    code = f"Server(app, port={port}, http2=True, body_timeout=0.5, keep_alive=0.5).serve_forever()"
    command = [sys.executable, "-c", f"from bimetal import Server; from http2 import app; {code}"]
    with ServerProcess(command, port, APPS).wait_ready() as server, Client(server.port) as client:
        # A body that does not go on.
        stream = client.request("POST", "/length", end=False)
        client.h2.send_data(stream, b"x")
        client.flush()
        assert client.answer(stream)[0] == 408
        reset = client.wait(lambda e: isinstance(e, h2.events.StreamReset))
        assert reset.error_code == 0  # NO_ERROR: the rest need not be sent
        # A response that nobody takes.
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.flush()
        stream = client.request("GET", "/large/3000000")
        reset = client.wait(lambda e: isinstance(e, h2.events.StreamReset) and e.stream_id == stream)
        assert reset.error_code == 8  # CANCEL
        # Nothing at all.
        end = client.end()
        assert end is not None and end.error_code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_says_goodbye_and_finishes(workers: int) -> None:
    with start_bimetal("http2:app", "--http2", "--workers", str(workers)).wait_ready() as server:
        with Client(server.port) as busy, Client(server.port) as idle:
            assert idle.answer(idle.request("GET", "/native"))[0] == 200
            stream = busy.request("GET", "/slowly")
            assert busy.wait(lambda e: isinstance(e, h2.events.ResponseReceived)) is not None
            server.process.send_signal(signal.SIGTERM)
            end = idle.end()
            assert end is not None and end.error_code == 0
            assert busy.wait(lambda e: isinstance(e, Goodbye)).error_code == 0
            assert busy.wait(lambda e: isinstance(e, h2.events.StreamEnded) and e.stream_id == stream) is not None
        assert server.stop() == 0


def test_no_request_is_lost_when_workers_are_replaced() -> None:
    with start_bimetal("http2:app", "--http2", "--workers", "2").wait_ready() as server:

        def ask(seen: set[bytes]) -> None:
            """Ask on one connection until the server wants no more, or has been asked often."""
            with Client(server.port) as client:
                for _ in range(50):
                    if client.is_dismissed:
                        break
                    status, _, body = client.answer(client.request("GET", "/pid"))
                    assert status == 200
                    seen.add(body)

        def two_workers(but: set[bytes]) -> set[bytes]:
            seen: set[bytes] = set()

            def found() -> bool:
                ask(seen)
                return len(seen - but) == 2

            until(found, "two workers")
            return seen - but

        old = two_workers(but=set())
        server.process.send_signal(signal.SIGHUP)
        two_workers(but=old)


def test_a_connection_that_is_kept_is_told_to_go_elsewhere() -> None:
    with start_bimetal("http2:app", "--http2", "--workers", "2").wait_ready() as server, Client(server.port) as client:
        first = client.answer(client.request("GET", "/pid"))
        server.process.send_signal(signal.SIGHUP)
        while not client.is_dismissed:
            # Each is answered, however late it comes.
            assert client.answer(client.request("GET", "/pid"))[2] == first[2]
        assert client.end() is None or client.is_dismissed


def test_websockets_go_by_http_1(authority: Authority, issued: Issued) -> None:
    with start_bimetal("reached:app", "--http2", *issued.options).wait_ready() as server:
        address = f"wss://127.0.0.1:{server.port}/socket"
        with connect(address, ssl=authority.context(), compression=None) as websocket:
            assert json.loads(websocket.recv())["http_version"] == "'1.1'"
            websocket.send("hello")
            assert websocket.recv() == "hello"
