"""`CompressionMiddleware`: zstd, br and gzip for responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp

from bimetal._core import EXCLUDED_CONTENT_TYPES, EdgeLayer
from bimetal.middleware.layered import LayeredMiddleware

#: Each coding with its lowest, its highest and its usual level, the most wanted first.
_LEVELS = {"zstd": (1, 19, 3), "br": (0, 11, 4), "gzip": (1, 9, 6)}


def compression_layer(
    *,
    minimum_size: int = 500,
    zstd: int | bool = True,
    br: int | bool = True,
    gzip: int | bool = True,
    exclude_content_types: Sequence[str] = EXCLUDED_CONTENT_TYPES,
) -> EdgeLayer:
    """The layer with these settings; see `CompressionMiddleware`. Raises TypeError and ValueError."""
    if type(minimum_size) is not int or minimum_size < 0:
        raise TypeError(f"minimum_size={minimum_size!r}: give a number of bytes, like 500")
    if isinstance(exclude_content_types, str) or not all(isinstance(kind, str) for kind in exclude_content_types):
        raise TypeError(f"exclude_content_types={exclude_content_types!r}: give a list, like ['image/png', 'video/*']")
    codings = []
    for name, level in (("zstd", zstd), ("br", br), ("gzip", gzip)):
        lowest, highest, usual = _LEVELS[name]
        if level is False:
            continue
        if level is True:
            level = usual
        if type(level) is not int or not lowest <= level <= highest:
            raise ValueError(f"{name}={level!r}: give a level from {lowest} to {highest}, True or False")
        codings.append((name, level))
    if not codings:
        raise ValueError("there is nothing to compress with: leave zstd, br or gzip on")
    config: dict[str, Any] = {
        "minimum_size": minimum_size,
        "codings": codings,
        "exclude_content_types": list(exclude_content_types),
    }
    return EdgeLayer("compression", config)


class CompressionMiddleware(LayeredMiddleware):
    """Compresses responses with the coding that the client wants most: zstd, br or gzip, in this order among equals.

    Left alone are responses that are compressed already, parts of files (206), those with `no-transform` in
    `Cache-Control`, and types of content that compression makes no smaller. A stream is compressed part by part, and
    each part can be read when it arrives. An entity tag becomes a weak one, since the bytes are others.

    Args:
        app: What is inside.
        minimum_size: The smallest body that is compressed, in bytes. A client that refuses bodies as they are
            (`identity;q=0`) gets smaller ones compressed as well.
        zstd: The level, 1 to 19; True for the usual one, 3; False to leave the coding out.
        br: The level, 0 to 11; True for the usual one, 4; False to leave the coding out.
        gzip: The level, 1 to 9; True for the usual one, 6; False to leave the coding out.
        exclude_content_types: Types of content that are not compressed, `"video/*"` for all types of video, in place of
            `bimetal.middleware.EXCLUDED_CONTENT_TYPES`.

    Example:
        ```python
        app.add_middleware(CompressionMiddleware, minimum_size=1000, br=5)
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        minimum_size: int = 500,
        zstd: int | bool = True,
        br: int | bool = True,
        gzip: int | bool = True,
        exclude_content_types: Sequence[str] = EXCLUDED_CONTENT_TYPES,
    ) -> None:
        layer = compression_layer(
            minimum_size=minimum_size, zstd=zstd, br=br, gzip=gzip, exclude_content_types=exclude_content_types
        )
        super().__init__(app, layer)
