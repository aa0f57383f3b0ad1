"""`HOST:PORT`, read."""

from __future__ import annotations


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`; raises ValueError for anything else.

    Example:
        ```python
        assert parse_address("[::1]:9000") == ("::1", 9000)
        ```
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare) != (bare != host) or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{text!r} is not HOST:PORT, like 127.0.0.1:9000")
    if int(port) > 65535:
        raise ValueError(f"{text!r}: the port is at most 65535")
    return bare, int(port)
