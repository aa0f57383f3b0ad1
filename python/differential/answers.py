"""What two servers said to one request, and whether it is the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from harness.compare import OF_THE_CONNECTION
from harness.wire import Reply

#: The `problem` of a server that closes the connection instead of answering.
CLOSED = "closes the connection without an answer"
#: And of one that sends something that is no response.
NO_HTTP = "sends what is no response"


@dataclass(frozen=True)
class Answer:
    """A response, or none; and what became of the connection."""

    reply: Reply | None
    #: The server has closed the connection after it, as it should.
    closed: bool = False
    #: What is wrong with the answer as such.
    problem: str = ""

    @property
    def status(self) -> int | None:
        return self.reply.status if self.reply is not None else None

    @property
    def body(self) -> bytes:
        return self.reply.body if self.reply is not None else b""

    def header(self, name: str) -> str | None:
        return ", ".join(self.reply.all(name)) or None if self.reply is not None else None


def plain(body: bytes) -> bytes:
    """The body as it was before gzip."""
    if body[:2] != b"\x1f\x8b":
        return body
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        return decompressor.decompress(body) + b" whole" * decompressor.eof + decompressor.unused_data
    except zlib.error:
        return body


def differences(ours: Answer, reference: Answer) -> list[str]:
    """In what they differ, in words; nothing when the answers are the same."""
    return list(_differences(ours, reference))


def _differences(ours: Answer, reference: Answer) -> Iterator[str]:
    if ours.problem != reference.problem:
        yield f"connection: {ours.problem or 'in order'} / {reference.problem or 'in order'}"
    if ours.reply is None or reference.reply is None:
        if (ours.reply is None) != (reference.reply is None):
            yield f"status: {ours.status or 'no answer'} / {reference.status or 'no answer'}"
        return
    if ours.status != reference.status:
        yield f"status: {ours.status} / {reference.status}"
    mine, others = _headers(ours.reply), _headers(reference.reply)
    length = ("content-length", str(len(ours.body)))
    if (
        length in mine
        and reference.reply.header("content-length") is None
        and reference.reply.header("transfer-encoding") is not None
    ):
        # The application named no length: whether the server counts a body it has whole, or sends chunks, is framing.
        mine.remove(length)
    if plain(ours.body) != ours.body:
        # How well a body is compressed, and whether its length is known before it is sent, is up to the server.
        mine = [item for item in mine if item[0] != "content-length"]
        others = [item for item in others if item[0] != "content-length"]
    for name in sorted({name for name, _ in mine + others}):
        left, right = ([value for key, value in side if key == name] for side in (mine, others))
        if left != right:
            yield f"header {name}: {left} / {right}"
    if plain(ours.body) != plain(reference.body):
        yield "body"


def _headers(reply: Reply) -> list[tuple[str, str]]:
    """The fields an application can set; those of one name in their order."""
    return [field for field in reply.headers if field[0] not in OF_THE_CONNECTION]
