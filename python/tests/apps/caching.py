"""Routes with a response cache, on every lane that can have one, and what acts on the cache from outside."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pathlib
import threading
import time
from collections import Counter
from typing import Annotated, Any

import fastapi
from fastapi import BackgroundTasks, Cookie, Depends, Header, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import APIKeyHeader

import bimetal
from bimetal import APIRouter, Bimetal, Cache
from bimetal.styles.fasterapi import App
from bimetal.styles.turboapi import TurboAPI

app = Bimetal(openapi_tags=[{"name": "cached"}])
app.add_middleware(GZipMiddleware, minimum_size=500)

calls: Counter[str] = Counter()
#: What handlers wait for, by name; opened from outside.
gates: dict[str, asyncio.Event] = {}


def called(name: str) -> int:
    calls[name] += 1
    return calls[name]


@app.get("/calls/{name}")
def count(name: str) -> int:
    return calls[name]


@app.post("/open/{name}")
async def open_gate(name: str) -> None:
    gates.setdefault(name, asyncio.Event()).set()


@app.get("/stats")
def stats() -> dict[str, Any]:
    return app.cache.stats()


@app.get("/pid")
def pid() -> int:
    return os.getpid()


# On each lane.


@app.get("/sync/{name}", cache=60)
def on_sync(name: str, q: str = "") -> dict[str, Any]:
    return {"name": name, "q": q, "call": called("sync"), "pid": os.getpid()}


@app.get("/async/{name}", cache=60)
async def on_async(name: str) -> dict[str, Any]:
    return {"name": name, "call": called("async")}


@app.get("/native/health", handler_type="native", native="health", cache=Cache(60, status_header=True))
def on_native(): ...


def nothing() -> None: ...


@app.get("/operation/{name}", cache=Cache(60, bypass=["nothing"]), dependencies=[Depends(nothing)])
def on_operation(name: str, response: Response) -> int:
    response.headers["x-from"] = "operation"
    return called("operation")


@app.api_route("/both", methods=["GET", "HEAD"], cache=60)
def both() -> dict[str, int]:
    return {"call": called("both")}


router = APIRouter(prefix="/included")


@router.get("/{name}", cache=60, name="included-item")
def included(name: str) -> int:
    return called("included")


app.include_router(router)


# What is waited for.


@app.get("/gated/{name}", cache=60)
async def gated(name: str) -> int:
    number = called(name)
    await gates.setdefault(name, asyncio.Event()).wait()
    return number


@app.get("/slow/{name}", cache=60)
def slow(name: str) -> int:
    number = called(name)
    time.sleep(0.3)
    return number


@app.get("/failing/{name}", cache=60)
async def failing(name: str, failures: int) -> int:
    number = called(name)
    await asyncio.sleep(0.2)
    if number <= failures:
        raise RuntimeError("as it was told to")
    return number


@app.get("/stale/{name}", cache=Cache(0.2, stale_while_revalidate=60, status_header=True))
async def stale(name: str) -> int:
    number = called(name)
    if number > 1:
        await gates.setdefault(name, asyncio.Event()).wait()
    return number


@app.get("/fragile", cache=Cache(0.1, stale_if_error=60))
def fragile() -> str:
    if called("fragile") > 1:
        raise RuntimeError("no more")
    return "kept"


@app.get("/short", cache=0.2)
def short() -> int:
    return called("short")


# What is not for all.


@app.get("/unfit/{kind}", cache=60)
def unfit(kind: str) -> Any:
    number = called(kind)
    headers = {
        "cookie": {"set-cookie": f"a={number}"},
        "private": {"cache-control": "private, max-age=60"},
        "no-store": {"cache-control": "no-store"},
        "vary": {"vary": "X-Any"},
    }
    if kind == "stream":
        return StreamingResponse(iter([b"%d" % number]))
    if kind == "missing":
        return JSONResponse({"call": number}, 404)
    return JSONResponse({"call": number}, headers=headers[kind])


@app.get("/language", cache=Cache(60, vary=["Accept-Language"], cookies=["theme"], query=["page"]))
def language(
    accept_language: Annotated[str, Header()] = "en",
    theme: Annotated[str, Cookie()] = "light",
    page: int = 1,
) -> list[Any]:
    return [accept_language, theme, page, called("language")]


@app.get("/keyed", cache=Cache(60, vary=["authorization"], ignore=["cookie"]))
def keyed(authorization: Annotated[str, Header()] = "") -> list[Any]:
    return [authorization, called("keyed")]


@app.get("/etag", cache=60)
def etag(request: Request) -> Response:
    number = called("etag")
    if request.headers.get("if-none-match") == '"v1"':
        return Response(status_code=304, headers={"etag": '"v1"'})
    return JSONResponse({"call": number}, headers={"etag": '"v1"', "cache-control": "public, max-age=3600"})


@app.get("/honouring", cache=Cache(60, honour_requests=True))
def honouring() -> int:
    return called("honouring")


@app.get("/large/{number}", cache=60)
def large(number: int) -> Response:
    called("large")
    return Response(os.urandom(100_000), media_type="application/octet-stream")


@app.get("/text", cache=60)
def text() -> str:
    return f"{called('text')}" * 1000


# What makes answers invalid.


@app.get("/users/{user_id}", cache=Cache(60, tags=["users", "user:{user_id}"]), name="get_user")
def user(user_id: int) -> int:
    return called("user")


@app.post("/invalidate")
def invalidate(path: str | None = None, name: str | None = None, tag: str | None = None) -> bool:
    return app.cache.invalidate(path, name=name, tag=tag)


@app.post("/invalidate/async")
async def invalidate_async(path: str) -> bool:
    return app.cache.invalidate(path)


@app.post("/invalidate/thread")
def invalidate_on_a_thread(path: str) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(app.cache.invalidate(path)))
    thread.start()
    thread.join()
    return found[0]


@app.post("/clear")
async def clear() -> None:
    app.cache.clear()


@app.get("/hold/{seconds}")
def hold(seconds: int) -> str:
    """Holds the GIL as an extension does that never lets go of it, after leaving a sign that it has begun."""
    library = ctypes.PyDLL(None)
    pathlib.Path(os.environ["SIGN"]).touch()
    for _ in range(seconds * 2):
        library.usleep(500_000)
    return "held"


plain = fastapi.FastAPI(root_path="/api")


@plain.get("/config")
@bimetal.cached(60)
def plain_config() -> int:
    return called("plain")


turbo = TurboAPI()


@turbo.get("/config", cache=60)
def turbo_config(response: Response) -> dict[str, int]:
    response.headers["Cache-Control"] = "public, max-age=3600"
    return {"call": called("turbo")}


@turbo.get("/data", cache=60)
def turbo_data(request: Request) -> Any:
    if request.headers.get("if-none-match") == '"v1"':
        return Response(status_code=304, headers={"ETag": '"v1"'})
    return JSONResponse({"data": [1, 2, 3]}, headers={"ETag": '"v1"'})


faster = App()


@faster.get("/config", cache=60)
def faster_config(req, res):
    res.set_header("Cache-Control", "public, max-age=3600")
    return {"call": called("faster")}


@faster.get("/data", cache=60)
def faster_data(req, res):
    res.set_header("ETag", '"v1"')
    if req.headers.get("if-none-match") == '"v1"':
        res.status(304)
        return res
    return {"data": [1, 2, 3]}


# Refused at the start.


def with_route(kind: type[fastapi.FastAPI] = Bimetal, **options: Any) -> Any:
    """An application with one route, of these options."""
    made = kind()
    handler = options.pop("handler", lambda: 1)
    made.get("/x", **options)(handler)
    return made


def reads(accept_language: Annotated[str, Header()] = "", size: int = 1, theme: Annotated[str, Cookie()] = "") -> int:
    return 1


def has_background(tasks: BackgroundTasks) -> int:
    return 1


with_dependency = with_route(cache=1, dependencies=[Depends(nothing)])
with_security = with_route(cache=1, dependencies=[Depends(APIKeyHeader(name="x-key"))])
with_header = with_route(cache=Cache(1, query=["page"], cookies=["sid"]), handler=reads)
with_background = with_route(cache=1, handler=has_background)
with_stream = Bimetal()
with_methods = Bimetal()
with_tag = with_route(cache=Cache(1, tags=["user:{user}"]))
with_middleware = with_route(cache=1)
accepting = with_route(cache=Cache(1, bypass=["middleware:layer"]))
with_mount = Bimetal()
on_asgi = with_route(cache=1)


@with_stream.get("/x", cache=1)
def streamed():
    yield {"a": 1}


@with_methods.api_route("/x", methods=["GET", "POST"], cache=1)
def several() -> int:
    return 1


@with_middleware.middleware("http")
@accepting.middleware("http")
async def layer(request: Request, call_next: Any) -> Any:
    return await call_next(request)


with_mount.mount("/sub", with_route(cache=1))
on_asgi.router.routes[-1].app = lambda scope, receive, send: None
