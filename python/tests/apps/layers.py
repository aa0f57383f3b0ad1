"""Applications under middleware of every kind."""

from __future__ import annotations

import contextvars

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse

current = contextvars.ContextVar("current", default="unset")


def routes(app: FastAPI) -> FastAPI:
    @app.get("/sync")
    def sync(request: Request):
        return {"state": getattr(request.state, "mark", None), "context": current.get()}

    @app.get("/async")
    async def async_(n: int = 0):
        return {"n": n, "context": current.get()}

    @app.get("/large")
    def large():
        return {"text": "abc" * 1000}

    @app.get("/stream")
    async def stream():
        async def pieces():
            for i in range(3):
                yield f"piece {i}\n" * 300

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/http-error")
    def http_error():
        raise HTTPException(404, "no")

    @app.get("/boom")
    async def boom():
        raise ValueError("boom")

    @app.post("/echo")
    async def echo(request: Request):
        return Response(await request.body())

    return app


class Pure:
    """A pure ASGI middleware that adds a header to every answer and counts into the scope."""

    def __init__(self, app, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_header(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-pure", self.name.encode())]
            await send(message)

        await self.app(scope, receive, send_with_header)


function_app = routes(FastAPI())


@function_app.middleware("http")
async def inner(request: Request, call_next):
    response = await call_next(request)
    response.headers.append("X-Layer", "inner")
    return response


@function_app.middleware("http")
async def outer(request: Request, call_next):
    request.state.mark = "outer"
    current.set("from middleware")
    if request.url.path == "/short":
        return PlainTextResponse("short cut", 203)
    try:
        response = await call_next(request)
    except ValueError as error:
        return PlainTextResponse(f"outer caught {error}", 502)
    response.headers.append("X-Layer", "outer")
    if request.url.path == "/async":
        response.status_code = 299
    return response


pure_app = routes(FastAPI())
pure_app.add_middleware(Pure, name="one")
pure_app.add_middleware(Pure, name="two")

cors_app = routes(FastAPI())
cors_app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://a.example"],
    allow_methods=["GET", "POST"],
    allow_headers=["X-Token"],
    allow_credentials=True,
    expose_headers=["X-Shown"],
    max_age=60,
)

gzip_app = routes(FastAPI())
gzip_app.add_middleware(GZipMiddleware, minimum_size=500)

hosts_app = routes(FastAPI())
hosts_app.add_middleware(TrustedHostMiddleware, allowed_hosts=["testserver", "*.good.example"])

https_app = routes(FastAPI())
https_app.add_middleware(HTTPSRedirectMiddleware)

stacked_app = routes(FastAPI())
stacked_app.add_middleware(GZipMiddleware, minimum_size=10)
stacked_app.add_middleware(CORSMiddleware, allow_origins=["*"])
stacked_app.add_middleware(Pure, name="outermost")

APPS = {
    "function": function_app,
    "pure": pure_app,
    "cors": cors_app,
    "gzip": gzip_app,
    "hosts": hosts_app,
    "https": https_app,
    "stacked": stacked_app,
}

app = FastAPI()


async def by_first_segment(scope, receive, send):
    """All of them behind one port: `/cors/sync` is `/sync` of the CORS application."""
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
        return
    _, name, rest = scope["path"].split("/", 2)
    await APPS[name]({**scope, "path": "/" + rest, "raw_path": ("/" + rest).encode()}, receive, send)
