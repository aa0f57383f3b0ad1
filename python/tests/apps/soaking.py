"""Something of everything, for clients that ask for a million of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

app = FastAPI()


class Item(BaseModel):
    name: str
    count: int


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/sync/{number}")
def in_sync(number: int, q: str = "") -> dict[str, int | str]:
    return {"number": number, "q": q}


@app.get("/async/{number}")
async def in_async(number: int, q: str = "") -> dict[str, int | str]:
    return {"number": number, "q": q}


@app.post("/items")
def item(item: Item) -> Item:
    return item


@app.post("/upload")
async def upload(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


async def lines(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 4096


@app.get("/stream/{count}")
async def stream(count: int) -> StreamingResponse:
    return StreamingResponse(lines(count))


@app.get("/fails")
def fails() -> None:
    raise RuntimeError("on purpose")


@app.get("/spin/{count}")
def spin(count: int) -> int:
    """Takes a processor for a while."""
    return sum(number % 7 for number in range(count))


@app.get("/async-spin/{count}")
async def spin_on_the_loop(count: int) -> int:
    return sum(number % 7 for number in range(count))


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("mounted")(scope, receive, send)


app.mount("/mounted", mounted)
