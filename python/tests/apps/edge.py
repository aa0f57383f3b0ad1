"""One application under each combination of the middleware that is done at the edge."""

from __future__ import annotations

import asyncio
import re
import tempfile

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.middleware import Middleware

FILE = tempfile.NamedTemporaryFile(suffix=".txt", delete=False)  # noqa: SIM115 (lives as long as the process)
FILE.write(b"0123456789" * 20_000)
FILE.close()

going_on = asyncio.Event()

router = APIRouter()


@router.get("/sync")
def sync(n: int = 0):
    return {"n": n}


@router.get("/async")
async def async_():
    return {"text": "short"}


@router.get("/large")
def large():
    return {"text": "abc" * 1000}


@router.get("/async-large")
async def async_large():
    return ["öäü" * 1000]


@router.get("/huge")
def huge():
    return [str(i) for i in range(60_000)]


@router.get("/exact/{size}")
def exact(size: int):
    return PlainTextResponse("x" * size)


@router.get("/request")
async def request_(request: Request):
    return {"url": str(request.url), "root": request.scope["root_path"], "text": "x" * 1000}


@router.get("/stream")
async def stream():
    async def pieces():
        for i in range(3):
            yield f"piece {i}\n" * 300
            yield b""

    return StreamingResponse(pieces(), media_type="text/plain")


@router.get("/stream-tiny")
def stream_tiny():
    return StreamingResponse(iter([b"a", b"b"]), headers={"Content-Length": "2", "Vary": "X-Tiny"})


@router.get("/stream-nothing")
def stream_nothing():
    return StreamingResponse(iter([]), media_type="text/plain")


@router.get("/events")
async def events():
    async def pieces():
        yield "data: " + "x" * 1000 + "\n\n"
        yield "data: 2\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


@router.get("/early-boom")
async def early_boom():
    async def pieces():
        raise ValueError("before the first piece")
        yield b""

    return StreamingResponse(pieces(), media_type="text/plain")


@router.get("/slow")
async def slow():
    async def pieces():
        yield "1" * 1000
        await going_on.wait()
        yield "2" * 1000

    return StreamingResponse(pieces(), media_type="text/plain")


@router.post("/go-on")
async def go_on():
    going_on.set()


@router.get("/of-type")
def of_type(type: str, size: int = 1000):
    return Response(b"x" * size, media_type=type)


@router.get("/encoded")
def encoded():
    return Response(b"x" * 1000, headers={"Content-Encoding": "br"}, media_type="text/plain")


@router.get("/partial")
def partial():
    return Response(b"x" * 1000, 206, media_type="text/plain")


@router.get("/nothing", status_code=204)
def nothing(): ...


@router.get("/not-modified")
def not_modified():
    return Response(status_code=304, headers={"ETag": '"1"'})


@router.get("/vary")
async def vary():
    response = PlainTextResponse("v" * 1000, headers={"Vary": "Cookie"})
    response.headers.append("Vary", "X-Second")
    return response


@router.get("/own")
async def own():
    return PlainTextResponse(
        "o" * 10,
        headers={"Access-Control-Allow-Origin": "https://own.example", "Access-Control-Expose-Headers": "X-Own"},
    )


@router.get("/file")
def file():
    return FileResponse(FILE.name, stat_result=None, headers={"ETag": "e", "Last-Modified": "l"})


@router.get("/cookies")
def cookies(response: Response):
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return "c" * 600


@router.get("/elsewhere")
def elsewhere():
    return RedirectResponse("/sync")


@router.get("/http-error")
def http_error():
    raise HTTPException(418, "t" * 600, headers={"X-Error": "1"})


@router.get("/boom")
def boom():
    raise ValueError("boom")


@router.get("/async-boom")
async def async_boom():
    raise KeyError("boom")


@router.api_route("/both", methods=["GET", "HEAD", "OPTIONS"])
async def both():
    return PlainTextResponse("b" * 700)


@router.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type="text/plain")


@router.websocket("/ws")
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()


async def mounted(scope, receive, send):
    """A plain ASGI application."""
    if scope["path"].endswith("/boom"):
        raise RuntimeError("mounted")
    start = {"type": "http.response.start", "status": 200}
    if not scope["path"].endswith("/bare"):
        start["headers"] = [(b"content-type", b"text/plain"), (b"x-mounted", b"1")]
    await send(start)
    await send({"type": "http.response.body", "body": b"m" * 600})


class Sub(FastAPI):
    """A mounted application with middleware of its own."""


sub = Sub()
sub.include_router(router)
sub.add_middleware(CORSMiddleware, allow_origins=["https://sub.example"])


def under(*middleware: Middleware, **options) -> FastAPI:
    """The application under `middleware`, the outermost first."""
    app = FastAPI(middleware=list(middleware), **options)
    app.include_router(router)
    app.mount("/mounted", mounted)
    app.mount("/sub", sub)
    return app


A = "https://a.example"

cors_listed = under(
    Middleware(
        CORSMiddleware,
        allow_origins=[A, "null", "http://localhost:3000"],
        allow_methods=["GET", "POST"],
        allow_headers=["X-Token", "content-type"],
        allow_credentials=True,
        expose_headers=["X-Shown", "X-Error"],
        max_age=60,
    )
)
cors_default = under(Middleware(CORSMiddleware))
cors_any = under(Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"]))
cors_credentials = under(
    Middleware(
        CORSMiddleware,
        allow_origins=("*",),
        allow_methods=("*",),
        allow_headers=("X-Z", "*", "X-A"),
        allow_credentials=True,
        allow_private_network=True,
        max_age=0,
    )
)
cors_regex = under(
    Middleware(
        CORSMiddleware,
        allow_origins=["https://listed.example"],
        allow_origin_regex=r"(?i)https://(?:[\w-]+\.)*good\.example(?::\d{2,5})?$",
        allow_headers={"X-Token"},
    )
)
cors_compiled = under(Middleware(CORSMiddleware, allow_origin_regex=re.compile("http://[^a-x.]+|é", re.IGNORECASE)))
#: No engine but Python's is known to read this one.
cors_lookahead = under(Middleware(CORSMiddleware, allow_origin_regex=r"https://(?!evil)\w+\.example"))

gzip = under(Middleware(GZipMiddleware))
gzip_all = under(Middleware(GZipMiddleware, minimum_size=0, compresslevel=1, exclude_content_types=("Text/HTML; x",)))

hosts = under(
    Middleware(TrustedHostMiddleware, allowed_hosts=["good.example", "*.wild.example", "www.bare.example", "[::1]"])
)
hosts_no_redirect = under(
    Middleware(TrustedHostMiddleware, allowed_hosts=["WWW.Bare.example", "localhost"], www_redirect=False)
)
https = under(Middleware(HTTPSRedirectMiddleware))

cors_gzip_hosts = under(
    Middleware(CORSMiddleware, allow_origins=[A]),
    Middleware(GZipMiddleware, minimum_size=10),
    Middleware(TrustedHostMiddleware, allowed_hosts=["testserver"]),
)
hosts_gzip_cors = under(
    Middleware(TrustedHostMiddleware, allowed_hosts=["testserver"]),
    Middleware(GZipMiddleware, 1),
    Middleware(CORSMiddleware, [A], ["*"]),
)
twice = under(
    Middleware(GZipMiddleware, minimum_size=100),
    Middleware(CORSMiddleware, allow_origins=["*"]),
    Middleware(GZipMiddleware, minimum_size=2000),
    Middleware(CORSMiddleware, allow_origins=[A], allow_credentials=True),
)


class Stamp:
    """Middleware that the edge does not know."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send):
        async def stamped(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-stamp", b"1"), (b"vary", b"X-Stamp")]
            await send(message)

        await self.app(scope, receive, stamped)


stamp_inside = under(
    Middleware(CORSMiddleware, allow_origins=[A]), Middleware(GZipMiddleware, minimum_size=1), Middleware(Stamp)
)
stamp_outside = under(Middleware(Stamp), Middleware(CORSMiddleware, allow_origins=[A]), Middleware(GZipMiddleware))
stamp_between = under(Middleware(GZipMiddleware), Middleware(Stamp), Middleware(CORSMiddleware, allow_origins=[A]))

handled = under(
    Middleware(CORSMiddleware, allow_origins=[A]), Middleware(GZipMiddleware, minimum_size=1), root_path="/proxy"
)


@handled.exception_handler(Exception)
async def answer(request: Request, error: Exception):
    return PlainTextResponse(f"sorry: {error!r} " * 50, 500)


@handled.exception_handler(HTTPException)
def answer_http(request: Request, error: HTTPException):
    return PlainTextResponse(f"http: {error.detail}", error.status_code)


debugged = under(Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(GZipMiddleware), debug=True)

#: What the edge is expected to do of each.
AT_EDGE = {
    "cors_listed": ["CORSMiddleware"],
    "cors_default": ["CORSMiddleware"],
    "cors_any": ["CORSMiddleware"],
    "cors_credentials": ["CORSMiddleware"],
    "cors_regex": ["CORSMiddleware"],
    "cors_compiled": ["CORSMiddleware"],
    "cors_lookahead": [],
    "gzip": ["GZipMiddleware"],
    "gzip_all": ["GZipMiddleware"],
    "hosts": ["TrustedHostMiddleware"],
    "hosts_no_redirect": ["TrustedHostMiddleware"],
    "https": ["HTTPSRedirectMiddleware"],
    "cors_gzip_hosts": ["CORSMiddleware", "GZipMiddleware", "TrustedHostMiddleware"],
    "hosts_gzip_cors": ["TrustedHostMiddleware", "GZipMiddleware", "CORSMiddleware"],
    "twice": ["GZipMiddleware", "CORSMiddleware", "GZipMiddleware", "CORSMiddleware"],
    "stamp_inside": ["CORSMiddleware", "GZipMiddleware"],
    "stamp_outside": [],
    "stamp_between": ["GZipMiddleware"],
    "handled": ["CORSMiddleware", "GZipMiddleware"],
    "debugged": ["CORSMiddleware", "GZipMiddleware"],
}
