"""Two servers, one application, one request: are the answers the same?"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.servers import APPS, ServerProcess, start_bimetal, start_uvicorn
from harness.wire import Connection, Headers, Reply

#: Headers that name the server or the moment, or that frame the message on this one connection (RFC 9110, 7.6.1):
#: an application cannot see or set them the same way on every server.
OF_THE_CONNECTION = {"date", "server", "connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Case:
    """One request of a table."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes | tuple[bytes, ...] | None = None
    #: Counts as one of these lanes when it is known to run there.
    lane: str | None = None
    #: What tells it from others with the same target.
    note: str = ""

    def __str__(self) -> str:
        text = f"{self.method} {self.target} {self.note}".strip()
        return text if len(text) <= 80 else text[:77] + "..."


def case(
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | tuple[bytes, ...] | None = None,
    lane: str | None = None,
    note: str = "",
) -> Case:
    return Case(method, target, tuple(headers), body, lane, note)


def comparable(reply: Reply) -> tuple[int, list[tuple[str, str]]]:
    """What must be equal besides the body: the status, and the headers in any order."""
    return reply.status, sorted(item for item in reply.headers if item[0] not in OF_THE_CONNECTION)


def assert_same(ours: Reply, reference: Reply, normalise: Callable[[bytes], bytes] = bytes) -> None:
    assert normalise(ours.body) == normalise(reference.body)
    if normalise is unpacked and ours.body != normalise(ours.body):
        # How well a body is compressed is up to the server, and whether it knows the length before it sends it.
        ours, reference = without(ours, "content-length"), without(reference, "content-length")
    status, headers = comparable(ours)
    length = ("content-length", str(len(ours.body)))
    if reference.header("content-length") is None and reference.header("transfer-encoding") and length in headers:
        # The application named no length: whether the server counts a body it has whole, or sends chunks, is framing.
        headers.remove(length)
    assert (status, headers) == comparable(reference)


def without(reply: Reply, name: str) -> Reply:
    """The reply without a header."""
    return replace(reply, headers=[item for item in reply.headers if item[0] != name])


def unpacked(body: bytes) -> bytes:
    """What is in a body compressed with gzip; any other body as it is."""
    if body[:2] != b"\x1f\x8b":
        return body
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    text = decompressor.decompress(body)
    # A stream that fails has no end; whether it has one must be the same.
    return text + b" whole" * decompressor.eof + decompressor.unused_data


@dataclass
class Pair:
    """The server under test and the reference, on the same application."""

    ours: ServerProcess
    reference: ServerProcess

    def same(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | tuple[bytes, ...] | None = None,
        normalise: Callable[[bytes], bytes] = bytes,
    ) -> Reply:
        """Send the request to both, on connections of their own; the answers must be the same. Returns ours."""
        replies = [ask(port, method, target, headers, body) for port in self.ports]
        assert_same(replies[0], replies[1], normalise)
        return replies[0]

    def check(self, request: Case) -> Reply:
        return self.same(request.method, request.target, request.headers, request.body)

    @property
    def ports(self) -> tuple[int, int]:
        return self.ours.port, self.reference.port


def ask(
    port: int,
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | Iterable[bytes] | None = None,
) -> Reply:
    with Connection(port) as connection:
        return connection.request(method, target, headers, body)


@contextlib.contextmanager
def serve_both(app: str, *args: str, cwd: Path = APPS, env: dict[str, str] | None = None) -> Iterator[Pair]:
    """Both servers on `app`, started at the same time; `args` are options both understand."""
    with (
        start_bimetal(app, *args, cwd=cwd, env=env) as ours,
        start_uvicorn(app, *args, cwd=cwd, env=env) as reference,
    ):
        yield Pair(ours.wait_ready(), reference.wait_ready())
