"""A request as bytes, and how a person sends it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Request:
    """One request of HTTP/1.x. Nothing is added to it on its way but what frames the body."""

    method: bytes
    #: Path and query as sent.
    target: bytes
    headers: Fields = ()
    #: None: no body at all, and no field that announces one.
    body: bytes | None = None
    #: The sizes of the chunks of a chunked body, the last of which takes the rest; None: `Content-Length`.
    chunks: tuple[int, ...] | None = None
    version: bytes = b"HTTP/1.1"

    def wire(self) -> bytes:
        """The bytes on the wire."""
        lines = [b"%s %s %s" % (self.method, self.target, self.version), b"Host: " + self.host]
        lines += [b"%s: %s" % field for field in self.headers if field[0].lower() != b"host"]
        if self.body is None:
            return b"\r\n".join([*lines, b"", b""])
        if self.chunks is None:
            lines.append(b"Content-Length: %d" % len(self.body))
            return b"\r\n".join([*lines, b"", self.body])
        lines.append(b"Transfer-Encoding: chunked")
        pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self._pieces()]
        return b"\r\n".join([*lines, b"", b"".join(pieces) + b"0\r\n\r\n"])

    @property
    def host(self) -> bytes:
        return self.header(b"host") or b"testserver"

    @property
    def closes(self) -> bool:
        """Whether the server has to close the connection after its answer."""
        options = [value.strip().lower() for key, value in self.headers if key.lower() == b"connection"]
        return b"close" in options or (self.version == b"HTTP/1.0" and b"keep-alive" not in options)

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def curl(self, port: int) -> str:
        """A line for a shell that sends the same request."""
        words = ["curl", "-i", "--path-as-is", "--globoff"]
        words += ["--http1.0"] if self.version == b"HTTP/1.0" else []
        words += ["-I"] if self.method == b"HEAD" else ["-X", _quoted(self.method)]
        fields = [(b"Host", self.host), *(field for field in self.headers if field[0].lower() != b"host")]
        names = {name.lower() for name, _ in fields}
        for name in (b"User-Agent", b"Accept", *([b"Content-Type"] if self.body is not None else [])):
            if name.lower() not in names:
                words += ["-H", _quoted(name + b":")]
        for name, value in fields:
            words += ["-H", _quoted(b"%s: %s" % (name, value) if value else name + b";")]
        if self.body is not None:
            words += ["-H", "'Transfer-Encoding: chunked'"] if self.chunks is not None else []
            words += ["--data-binary", _quoted(self.body)]
        server = b"http://127.0.0.1:%d" % port
        if self.target.startswith(b"http:"):
            return " ".join([*words, "--request-target", _quoted(self.target), _quoted(server)])
        return " ".join([*words, _quoted(server + self.target)])

    def _pieces(self) -> list[bytes]:
        assert self.body is not None
        rest, pieces = self.body, []
        for size in self.chunks or ():
            pieces.append(rest[:size])
            rest = rest[size:]
        return [piece for piece in [*pieces, rest] if piece]


def _quoted(data: bytes) -> str:
    plain = all(32 <= byte < 127 and byte not in b"'\\" for byte in data)
    if plain:
        return f"'{data.decode()}'"
    text = "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"$'{text}'"


def short(data: Any, limit: int = 2000) -> str:
    """`repr`, with the middle left out where it is long."""
    text = repr(data)
    return (
        text if len(text) <= limit else f"{text[: limit // 2]} ... {len(text) - limit} more ... {text[-limit // 2 :]}"
    )
