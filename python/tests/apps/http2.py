"""An application that is asked by HTTP/2, with routes on every lane."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bimetal import Bimetal

app = Bimetal()
counts = {"asked": 0, "cancelled": 0, "waiting": 0}
go: asyncio.Event | None = None


class Item(BaseModel):
    name: str
    count: int


@app.get("/native", handler_type="native", native="livez")
def native(): ...


@app.get("/sync/{text}")
def in_sync(text: str, q: str) -> dict[str, str]:
    return {"text": text, "q": q}


@app.get("/async/{text}")
async def in_async(text: str, q: str) -> dict[str, str]:
    return {"text": text, "q": q}


@app.post("/item")
def item(item: Item) -> Item:
    return item


@app.post("/length")
async def length(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


async def lines(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d\n" % number


@app.get("/stream/{count}")
async def stream(count: int) -> StreamingResponse:
    return StreamingResponse(lines(count))


@app.api_route("/large/{size}", methods=["GET", "HEAD"])
async def large(size: int) -> Response:
    return Response(b"x" * size, media_type="text/plain")


@app.get("/empty", status_code=204)
async def empty() -> None: ...


@app.get("/fails")
async def fails() -> None:
    raise HTTPException(418, "no")


@app.get("/scope")
async def scope(request: Request) -> dict[str, Any]:
    keys = ("http_version", "scheme", "client", "server")
    headers = [[name.decode(), value.decode()] for name, value in request.scope["headers"]]
    return {key: request.scope[key] for key in keys} | {"headers": headers}


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.get("/count")
async def count() -> int:
    counts["asked"] += 1
    return counts["asked"]


def gate() -> asyncio.Event:
    global go
    if go is None:
        go = asyncio.Event()
    return go


@app.get("/held")
async def held() -> str:
    """Answers when it is let."""
    counts["waiting"] += 1
    try:
        await gate().wait()
    finally:
        counts["waiting"] -= 1
    return "held"


@app.get("/go")
async def let_go() -> None:
    global go
    gate().set()
    go = None


@app.get("/waiting")
async def waiting() -> int:
    return counts["waiting"]


@app.get("/cancelled")
async def cancelled() -> int:
    return counts["cancelled"]


@app.get("/forever")
async def forever(request: Request) -> StreamingResponse:
    """Streams until nobody listens."""

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            counts["cancelled"] += 1

    return StreamingResponse(ticks())


@app.get("/slowly")
async def slowly() -> StreamingResponse:
    """Takes a while for its answer."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"part\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(parts())
