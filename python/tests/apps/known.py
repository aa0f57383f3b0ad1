"""The middleware that FastAPI ships, one application for each configuration."""

from __future__ import annotations

from typing import Any

from behind import routes
from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import StreamingResponse


def app_with(middleware: Any, **options: Any) -> FastAPI:
    app = routes(FastAPI())
    app.add_middleware(middleware, **options)

    @app.get("/sized/{size}")
    async def sized(size: int, type: str = "text/plain; charset=utf-8", encoding: str | None = None, status: int = 200):
        response = Response(b"x" * size, status, media_type=type)
        if encoding:
            response.headers["Content-Encoding"] = encoding
        return response

    @app.get("/pieces/{count}/{size}")
    async def pieces(count: int, size: int, type: str = "text/plain"):
        return StreamingResponse((b"y" * size for _ in range(count)), media_type=type)

    @app.get("/vary")
    def vary(response: Response):
        response.headers["Vary"] = "Accept-Language"
        response.headers.append("Vary", "Cookie")
        response.headers["Access-Control-Allow-Origin"] = "https://own.example"
        response.headers["ETag"] = '"tag"'
        response.set_cookie("a", "b")
        return {"text": "z" * 1000}

    @app.options("/options")
    def options_route():
        return "options"

    return app


listed = app_with(
    CORSMiddleware, allow_origins=["https://a.example", "null"], allow_credentials=True, allow_methods=["GET", "PUT"], allow_headers=["X-One"],
    expose_headers=["X-Shown", "X-Layer"], max_age=5,
)  # fmt: skip
pattern = app_with(
    CORSMiddleware, allow_origin_regex=r"https://.*\.example(:\d+)?", allow_methods=["*"], allow_headers=["*"]
)
everybody = app_with(CORSMiddleware, allow_origins=["*"], allow_headers=["*"], allow_methods=["*"])
credentials = app_with(
    CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_origin_regex="x", allow_methods=["POST"], allow_private_network=True
)  # fmt: skip
gzip = app_with(GZipMiddleware)
gzip_all = app_with(GZipMiddleware, minimum_size=0, compresslevel=1)
hosts = app_with(
    TrustedHostMiddleware,
    allowed_hosts=["good.example", "*.wild.example", "www.site.example", "127.0.0.1", "UPPER.example"],
)
no_redirect = app_with(TrustedHostMiddleware, allowed_hosts=["www.site.example"], www_redirect=False)
https = app_with(HTTPSRedirectMiddleware)
