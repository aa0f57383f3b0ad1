"""An HTTP/1.1 client that hides nothing: it sends the bytes it is given and shows the bytes that came back."""

from __future__ import annotations

import contextlib
import json as jsonlib
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Upper bound for anything that is awaited on a socket, in seconds: reached only when something hangs.
TIMEOUT = 30.0

Headers = Sequence[tuple[str, str]]


@dataclass
class Reply:
    """A response as it came over the wire; header names in lower case, in the order they were sent."""

    status: int
    reason: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    #: The sizes of the chunks, for a chunked response.
    chunks: list[int] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The only value of a header, or None; more than one is an error of the test."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return jsonlib.loads(self.body)


class Connection:
    """One connection to a server on this machine, by TCP."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> None:
        connected = socket.create_connection((host, port), timeout=timeout)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._use(connected)

    @classmethod
    def over(cls, connected: socket.socket) -> Connection:
        """A connection of another kind, which is there already."""
        connection = cls.__new__(cls)
        connection._use(connected)
        return connection

    def _use(self, connected: socket.socket) -> None:
        self.socket = connected
        self.reader = connected.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    @property
    def client_port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> Reply:
        """Send a request and read its whole answer; a body that is not `bytes` goes out chunked."""
        self.send_request(method, target, headers, body)
        return self.read_reply(method)

    def send_request(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> None:
        first = head(method, target, headers, body)
        if body is None or isinstance(body, bytes):
            self.send(first + (body or b""))
            return
        self.send(first)
        # A server may answer and close before it has read everything: its answer is there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in body:
                self.send_chunk(piece)
            self.send(b"0\r\n\r\n")

    def send_chunk(self, piece: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    def read_head(self) -> Reply:
        """Status line and headers; interim answers (1xx) are passed over, but for 101."""
        while True:
            reply = self._read_head()
            if reply.status >= 200 or reply.status == 101:
                return reply

    def _read_head(self) -> Reply:
        line = self.reader.readline()
        if not line:
            raise ConnectionError("the server closed the connection instead of answering")
        version, status, *reason = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        headers = []
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip(" \t\r\n")))
        if not line:
            raise ConnectionError("the connection ended within the headers")
        return Reply(int(status), "".join(reason), version, headers)

    def read_reply(self, method: str = "GET") -> Reply:
        reply = self.read_head()
        for piece in self.body(reply, method):
            reply.body += piece
            reply.chunks.append(len(piece))
        return reply

    def body(self, reply: Reply, method: str = "GET") -> Iterator[bytes]:
        """The body in the pieces in which it arrives: the chunks of a chunked one."""
        if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
            return
        if "chunked" in (reply.header("transfer-encoding") or ""):
            while size := int(self._line().split(b";")[0], 16):
                yield self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            while self._line():
                pass
        elif (length := reply.header("content-length")) is not None:
            if int(length):
                yield self._exactly(int(length))
        else:
            while piece := self.reader.read1(65536):
                yield piece

    def _line(self) -> bytes:
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the body was cut short after {line!r}")
        return line[:-2]

    def _exactly(self, size: int) -> bytes:
        data = self.reader.read(size)
        if len(data) != size:
            raise ConnectionError(f"the body was cut short: {len(data)} of {size} bytes")
        return data

    def is_closed_by_server(self) -> bool:
        """Waits for the server to close; False when it sends something instead."""
        try:
            return self.reader.read1(1) == b""
        except ConnectionResetError:
            return True


def head(method: str, target: str, headers: Headers, body: bytes | Iterable[bytes] | None) -> bytes:
    """A request head with `Host` and the framing of `body`, where `headers` has none."""
    lines = list(headers)
    names = {name.lower() for name, _ in lines}
    if "host" not in names:
        lines.insert(0, ("Host", "testserver"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        framing = ("Content-Length", str(len(body))) if isinstance(body, bytes) else ("Transfer-Encoding", "chunked")
        lines.append(framing)
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    return text.encode("latin-1")


def request(
    port: int,
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | Iterable[bytes] | None = None,
) -> Reply:
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(method, target, headers, body)


def get(port: int, target: str, headers: Headers = ()) -> Reply:
    return request(port, "GET", target, headers)


def json_body(value: Any) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a JSON request."""
    return [("Content-Type", "application/json")], jsonlib.dumps(value).encode()
