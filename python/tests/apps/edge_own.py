"""The application of `edge` under Bimetal's own middleware. Under uvicorn the same classes run as ASGI middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from edge import Stamp, mounted, router
from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.middleware import Middleware

from bimetal import Bimetal
from bimetal.middleware import (
    CompressionMiddleware,
    CORSMiddleware,
    ETagMiddleware,
    GZipMiddleware,
    SecurityHeadersMiddleware,
    TrustedHostMiddleware,
)

LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"

#: Streams that have sent their first piece.
waiting: list[asyncio.Event] = []

sub = FastAPI()
sub.include_router(router)


def declare(app: Any) -> None:
    """Answers about which tags, ranges and codings matter."""

    @app.get("/tagged")
    def tagged(size: int = 1000, etag: str = '"own"') -> Response:
        headers = {"ETag": etag, "Cache-Control": "max-age=60", "Accept-Ranges": "bytes"}
        return PlainTextResponse("t" * size, headers=headers)

    @app.api_route("/dated", methods=["GET", "HEAD", "POST"])
    async def dated() -> Response:
        return PlainTextResponse("d" * 1000, headers={"Last-Modified": LAST_MODIFIED, "Set-Cookie": "a=1"})

    @app.get("/tagged-stream")
    async def tagged_stream() -> Response:
        return StreamingResponse(iter([b"s" * 700, b"t" * 700]), headers={"ETag": '"own"'}, media_type="text/plain")

    @app.get("/sized-stream")
    async def sized_stream(size: int) -> Response:
        return StreamingResponse(iter([b"s" * size]), headers={"Content-Length": str(size)}, media_type="text/plain")

    @app.get("/no-transform")
    async def no_transform() -> Response:
        return PlainTextResponse("n" * 1000, headers={"Cache-Control": "public, no-transform"})

    @app.get("/no-store")
    async def no_store() -> Response:
        return PlainTextResponse("n" * 1000, headers={"Cache-Control": "no-store"})

    @app.head("/bodiless")
    async def bodiless() -> Response:
        return Response(headers={"Content-Length": "1000", "Content-Type": "text/plain", "ETag": '"own"'})

    @app.get("/framed")
    def framed() -> Response:
        headers = {"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": "default-src 'self'"}
        return PlainTextResponse("framed", headers=headers)

    @app.get("/held-stream")
    async def held_stream() -> Response:
        async def pieces() -> AsyncIterator[str]:
            go_on = asyncio.Event()
            waiting.append(go_on)
            yield "1" * 1000
            await go_on.wait()
            yield "2" * 1000

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.post("/let-go")
    async def let_go() -> None:
        waiting.pop().set()

    @app.get("/breaks-off")
    async def breaks_off() -> Response:
        async def pieces() -> AsyncIterator[str]:
            yield "1" * 1000
            raise ValueError("in the middle")

        return StreamingResponse(pieces(), media_type="text/plain")


def under(*added: Middleware, **options: Any) -> Bimetal:
    """The application with these options, and `added` as by `add_middleware`."""
    app = Bimetal(**options)
    for middleware in added:
        app.add_middleware(middleware.cls, *middleware.args, **middleware.kwargs)  # type: ignore[attr-defined]
    app.include_router(router)
    declare(app)
    app.mount("/mounted", mounted)
    app.mount("/sub", sub)
    return app


compressed = under(compression=True)
compressed_small = under(
    compression={"minimum_size": 10, "zstd": 1, "br": False, "exclude_content_types": ["text/html"]}
)
tagged = under(etag=True)
weakly = under(etag={"weak": True})
secured = under(security_headers=True)
secured_own = under(
    security_headers={
        "x_frame_options": None,
        "cross_origin_opener_policy": "same-origin",
        "headers": {"X-Own": "1", "Referrer-Policy": "no-referrer"},
    }
)
everything = under(compression=True, etag=True, security_headers=True)
#: The options stay outside of what is added, whatever that is.
around = under(
    Middleware(Stamp),
    Middleware(CORSMiddleware, allow_origins=["https://a.example"]),
    Middleware(TrustedHostMiddleware, ["testserver", "127.0.0.1"]),
    compression=True,
    etag=True,
)
#: The other way round: the tag is that of the compressed body.
inside_out = under(Middleware(CompressionMiddleware), Middleware(ETagMiddleware))
#: Behind middleware that the edge does not know they run in Python everywhere.
behind = under(
    Middleware(ETagMiddleware),
    Middleware(CompressionMiddleware),
    Middleware(SecurityHeadersMiddleware),
    Middleware(Stamp),
)
#: Compressed once, by whichever comes first from the inside.
twice = under(Middleware(GZipMiddleware), compression=True)

#: What the edge is expected to do of each.
AT_EDGE = {
    "compressed": ["CompressionMiddleware"],
    "compressed_small": ["CompressionMiddleware"],
    "tagged": ["ETagMiddleware"],
    "weakly": ["ETagMiddleware"],
    "secured": ["SecurityHeadersMiddleware"],
    "secured_own": ["SecurityHeadersMiddleware"],
    "everything": ["SecurityHeadersMiddleware", "CompressionMiddleware", "ETagMiddleware"],
    "around": ["CompressionMiddleware", "ETagMiddleware", "TrustedHostMiddleware", "CORSMiddleware"],
    "inside_out": ["ETagMiddleware", "CompressionMiddleware"],
    "behind": [],
    "twice": ["CompressionMiddleware", "GZipMiddleware"],
}
