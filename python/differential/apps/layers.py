"""The same few routes under each kind of middleware, and without any."""

import contextvars
from typing import Annotated, Any

from fastapi import Body, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from differential.apps.twins import twins

#: The document names these, so that requests have them.
Kind = Annotated[str, Path(json_schema_extra={"enum": ["http", "value", "none"]})]
layer_said: contextvars.ContextVar[str] = contextvars.ContextVar("layer_said", default="nothing")


def application(**options: Any) -> FastAPI:
    """The routes, without a layer."""
    app = FastAPI(**options)
    both = twins(app)

    @both("GET", "/item/{n}")
    def item(
        n: int,
        q: Annotated[str, Query(json_schema_extra={"enum": ["none", "early", "x"]})] = "none",
        x_token: Annotated[str, Header()] = "none",
    ):
        return {"n": n, "q": q, "x_token": x_token, "layer": layer_said.get()}

    @both("POST", "/echo")
    def echo(value: Annotated[Any, Body()]):
        return {"value": value}

    @both("GET", "/text/{size}")
    def text(size: int, name: str = "x"):
        return PlainTextResponse((name * min(abs(size), 4000))[:4000], headers={"Vary": "X-Name", "X-Own": "1"})

    @both("GET", "/stream/{count}")
    def stream(count: int):
        return StreamingResponse(f"{n}," * 200 for n in range(min(count, 10)))

    @both("GET", "/raise/{kind}")
    def raises(kind: Kind):
        if kind == "http":
            raise HTTPException(409, "raised", {"X-Raised": "1"})
        if kind == "value":
            raise ValueError("raised")
        return Response(status_code=204)

    return app


plain = application()

cors = application()
cors.add_middleware(
    CORSMiddleware,
    allow_origins=["https://a.example", "http://localhost:8080"],
    allow_origin_regex=r"https://.*\.b\.example",
    allow_methods=["GET", "PUT"],
    allow_headers=["X-Token"],
    allow_credentials=True,
    expose_headers=["X-Own"],
    max_age=60,
)

cors_all = application()
cors_all.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

gzipped = application()
gzipped.add_middleware(GZipMiddleware, minimum_size=100, compresslevel=5)

hosts = application()
hosts.add_middleware(TrustedHostMiddleware, allowed_hosts=["testserver", "*.a.example"])

https = application()
https.add_middleware(HTTPSRedirectMiddleware)

dispatched = application()


@dispatched.middleware("http")
async def dispatch(request: Request, call_next: Any):
    layer_said.set(request.headers.get("x-layer", "called"))
    if request.query_params.get("q") == "early":
        return PlainTextResponse("early", 202)
    response = await call_next(request)
    response.headers["X-Layer"] = f"{request.method} {response.status_code}"
    return response


class Reading(BaseHTTPMiddleware):
    """Reads the body of the request before the handler does."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        body = await request.body()
        try:
            response: Response = await call_next(request)
        except ValueError as error:
            return PlainTextResponse(f"caught {error}", 500)
        response.headers["X-Read"] = str(len(body))
        return response


stacked = application()
stacked.add_middleware(Reading)
stacked.add_middleware(GZipMiddleware, minimum_size=10)
stacked.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])


class Noting:
    """A pure ASGI layer."""

    def __init__(self, app: ASGIApp, name: str = "X-Noted") -> None:
        self.app = app
        self.name = name.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope["noted"] = True
        layer_said.set("noted")

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (self.name, str(message["status"]).encode())]
            await send(message)

        return await self.app(scope, receive, noting)


pure = application()
pure.add_middleware(Noting, name="X-Inner")
pure.add_middleware(Noting)

_ORIGINS = [
    b"https://a.example",
    b"https://A.example",
    b"http://localhost:8080",
    b"https://x.b.example",
    b"https://b.example",
    b"null",
    b"",
    b"https://evil.example",
]
_FIELDS = [(b"Origin", origin) for origin in _ORIGINS] + [
    (b"Access-Control-Request-Method", method) for method in (b"GET", b"PUT", b"DELETE", b"get", b"", b"BREW")
]
_FIELDS += [
    (b"Access-Control-Request-Headers", names)
    for names in (b"X-Token", b"x-token, content-type", b"X-Other", b"", b"x-token,,accept", b" X-TOKEN ", b"*")
]
_ENCODINGS = [
    (b"Accept-Encoding", value)
    for value in (
        b"gzip",
        b"GZIP",
        b"gzip;q=0",
        b"br, gzip;q=0.5",
        b"*",
        b"deflate",
        b"x-gzip",
        b"",
        b"identity",
        b"gzip, identity",
    )
]
_HOSTS = [
    (b"Host", value)
    for value in (
        b"testserver",
        b"testserver:80",
        b"a.example",
        b"x.a.example",
        b"X.A.example:1",
        b"TESTSERVER",
        b"evil",
        b"www.testserver",
        b"[::1]",
    )
]
_LAYER = [(b"X-Layer", b"1"), (b"X-Layer", b"caf\xe9"), (b"X-Forwarded-Proto", b"https"), (b"X-Name", b"x")]
#: Fields that matter to the layers, by application.
HEADERS = {
    "cors": _FIELDS, "cors_all": [*_FIELDS, (b"Cookie", b"a=b")], "gzipped": _ENCODINGS, "hosts": _HOSTS, "https": _HOSTS + _LAYER, "dispatched": _LAYER,
    "stacked": _FIELDS + _ENCODINGS, "pure": _LAYER,
}  # fmt: skip
