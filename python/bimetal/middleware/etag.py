"""`ETagMiddleware`: entity tags, and 304 for what a client has already."""

from __future__ import annotations

from starlette.types import ASGIApp

from bimetal._core import EdgeLayer
from bimetal.middleware.layered import LayeredMiddleware


def etag_layer(*, weak: bool = False) -> EdgeLayer:
    """The layer with these settings; see `ETagMiddleware`. Raises TypeError."""
    if type(weak) is not bool:
        raise TypeError(f"weak={weak!r}: use True or False")
    return EdgeLayer("etag", {"weak": weak})


class ETagMiddleware(LayeredMiddleware):
    """Gives whole answers an entity tag, and answers 304 where the client has what they would send.

    A tag is the hash of the body: for answers with status 200 to GET and HEAD that have a body, no tag and no
    `Cache-Control: no-store`. `If-None-Match` counts for tags of the application as well, `If-Modified-Since` for its
    `Last-Modified`. Streams pass. The handler runs in any case: what is saved is the way to the client.

    Args:
        app: What is inside.
        weak: Send weak tags (`W/"..."`), which promise less than the same bytes. Under `CompressionMiddleware` they
            become weak by themselves where a body is compressed.

    Example:
        ```python
        app.add_middleware(ETagMiddleware)
        ```
    """

    def __init__(self, app: ASGIApp, *, weak: bool = False) -> None:
        super().__init__(app, etag_layer(weak=weak))
