"""Routes on every lane whose times are looked at."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from bimetal import Bimetal

app = Bimetal()

#: Seconds.
WORK = 0.05


class Item(BaseModel):
    name: str


@app.get("/health", handler_type="native")
def health(): ...


@app.get("/metrics", handler_type="native")
def metrics(): ...


@app.get("/sync/works")
def sync_works():
    time.sleep(WORK)
    return {}


@app.get("/async/works")
async def async_works():
    await asyncio.sleep(WORK)
    return {}


def compute() -> dict[str, int]:
    return {"sum": sum(range(300_000))}


@app.get("/sync/computes")
def sync_computes():
    return compute()


@app.get("/async/computes")
async def async_computes():
    await asyncio.sleep(0)
    return compute()


@app.get("/sync/computes/behind", dependencies=[Depends(lambda: None)])
def sync_computes_behind():
    return compute()


def sleepy():
    time.sleep(WORK)


@app.get("/async/depends", dependencies=[Depends(sleepy)])
async def async_depends():
    return {}


@app.get("/sync/depends", dependencies=[Depends(sleepy)])
def sync_depends():
    return {}


@app.get("/sync/users/{user_id}")
def sync_user(user_id: int):
    return {"user_id": user_id}


@app.get("/async/users/{user_id}")
async def async_user(user_id: int):
    return {"user_id": user_id}


@app.post("/sync/items")
def sync_item(item: Item) -> Item:
    return item


@app.post("/async/items")
async def async_item(item: Item) -> Item:
    return item


@app.get("/sync/teapot")
def sync_teapot():
    raise HTTPException(418)


@app.get("/async/teapot")
async def async_teapot():
    raise HTTPException(418)


@app.get("/sync/raises")
def sync_raises():
    raise RuntimeError("on purpose")


@app.get("/async/raises")
async def async_raises():
    raise RuntimeError("on purpose")


@app.get("/sync/own")
def sync_own():
    return Response("own", headers={"server-timing": "db;dur=1"})


@app.get("/async/stream")
async def stream():
    async def chunks() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return StreamingResponse(chunks())


@app.get("/async/hold")
async def hold():
    """Keeps the interpreter until a byte comes through the pipe."""
    folder = Path(os.environ["FOLDER"])
    pipe = os.open(folder / "pipe", os.O_RDWR)
    try:
        with (folder / "held").open("a") as held:
            held.write("held\n")
        ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)
    finally:
        os.close(pipe)
    return {}


def plain(request: Request) -> Response:
    if "raises" in request.query_params:
        raise RuntimeError("on purpose")
    time.sleep(WORK)
    return PlainTextResponse("plain")


#: Starlette's own: the whole application answers.
app.add_route("/plain", plain)

entered = threading.Semaphore(0)
leave = threading.Semaphore(0)
#: Upper bound in seconds, reached only when a test has failed.
BOUND = 60


@app.get("/sync/waits")
def sync_waits():
    entered.release()
    assert leave.acquire(timeout=BOUND)
    return {}


@app.get("/async/waits")
async def async_waits():
    entered.release()
    assert leave.acquire(timeout=BOUND)
    return {}
