"""Applications with a start and an end."""

from __future__ import annotations

import contextlib
import os
import pathlib

from fastapi import FastAPI, Request


def record(text: str) -> None:
    """Into the file that outlives the server."""
    if path := os.environ.get("RECORD"):
        with pathlib.Path(path).open("a") as file:
            file.write(text + "\n")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    record("startup")
    app.state.ready = "yes"
    yield {"shared": ["one"], "number": 7}
    record("shutdown")


app = FastAPI(lifespan=lifespan)


@app.get("/state")
async def state(request: Request):
    request.state.shared.append("more")
    request.state.number += 1
    request.state.own = "only this request"
    return {
        "shared": request.state.shared,
        "number": request.state.number,
        "app": request.app.state.ready,
        "keys": sorted(request.scope["state"]),
    }


@app.get("/sync-state")
def sync_state(request: Request):
    return {"number": request.state.number, "own": hasattr(request.state, "own")}


@app.get("/plain")
def plain():
    record("handler")
    return app.state.ready


@contextlib.asynccontextmanager
async def fails_at_startup(app: FastAPI):
    raise RuntimeError("the database is away")
    yield


failing = FastAPI(lifespan=fails_at_startup)


@contextlib.asynccontextmanager
async def fails_at_shutdown(app: FastAPI):
    yield
    record("shutdown reached")
    raise RuntimeError("cannot put things away")


failing_late = FastAPI(lifespan=fails_at_shutdown)


@failing_late.get("/")
def failing_late_root():
    return "up"


old = FastAPI()


@old.on_event("startup")
def old_startup():
    record("old startup")


@old.on_event("shutdown")
async def old_shutdown():
    record("old shutdown")


@old.get("/")
async def old_root():
    return "old"


def bare(lifespan_part):
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan_part(scope, receive, send)
            return
        body = repr(sorted(scope["state"])).encode() if "state" in scope else b"no state"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return application


@bare
async def unsupported(scope, receive, send):
    raise AssertionError("only http is understood here")


@bare
async def returns_at_once(scope, receive, send):
    return


@bare
async def says_failed(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no licence"})


@bare
async def complete(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    record("bare startup")
    scope["state"]["from_lifespan"] = 1
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    record("bare shutdown")
    await send({"type": "lifespan.shutdown.complete"})
