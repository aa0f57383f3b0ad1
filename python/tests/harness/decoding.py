"""Bodies as a client reads them: the codings of HTTP, by decoders that are not Bimetal's."""

from __future__ import annotations

import zlib

import brotli
import zstandard

from harness.wire import Reply


class Decoder:
    """Decodes a body as it arrives."""

    def __init__(self, coding: str | None) -> None:
        self._coding = coding
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS + 16)
        self._brotli = brotli.Decompressor()
        # What RFC 9659 has clients allow.
        self._zstd = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj()

    def feed(self, piece: bytes) -> bytes:
        if self._coding == "gzip":
            return self._zlib.decompress(piece)
        if self._coding == "br":
            decoded: bytes = self._brotli.process(piece)
            return decoded
        if self._coding == "zstd":
            return self._zstd.decompress(piece)
        assert self._coding is None, f"nobody asked for {self._coding}"
        return piece

    def is_whole(self) -> bool:
        """Whether the body has ended where its coding ends."""
        if self._coding == "gzip":
            return self._zlib.eof and not self._zlib.unused_data
        if self._coding == "br":
            return bool(self._brotli.is_finished())
        return self._zstd.eof if self._coding == "zstd" else True


def decoded(reply: Reply) -> bytes:
    """The whole body of a reply."""
    decoder = Decoder(reply.header("content-encoding"))
    body = decoder.feed(reply.body) if reply.body else b""
    assert decoder.is_whole() or not reply.body, "the body is cut"
    return body
