"""Bodies that come in pieces, both ways, and what happens after or instead of a response."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterable, Iterable, Iterator

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel
from starlette.background import BackgroundTask

app = FastAPI()

#: Gates that handlers wait at and other requests open: `/open/{gate}`. Waiting ends by itself after `BOUND` seconds.
gates: dict[str, threading.Event] = {}
notes: dict[str, list[str]] = {}
BOUND = 30


def gate(name: str) -> threading.Event:
    return gates.setdefault(name, threading.Event())


async def wait_at(name: str) -> None:
    while not gate(name).is_set():
        await asyncio.sleep(0.001)


def note(name: str, text: str) -> None:
    notes.setdefault(name, []).append(text)


@app.get("/open/{name}")
async def open_gate(name: str):
    gate(name).set()


@app.get("/notes/{name}")
async def read_notes(name: str, until: str):
    while until not in notes.get(name, ()):
        await asyncio.sleep(0.001)
    return notes[name]


@app.get("/stream/sync/{name}")
def stream_sync(name: str):
    def pieces() -> Iterator[bytes]:
        yield b"first "
        assert gate(name).wait(BOUND)
        yield b"last"

    return StreamingResponse(pieces(), media_type="text/plain", headers={"X-Kind": "sync"})


@app.get("/stream/async/{name}")
async def stream_async(name: str):
    async def pieces():
        yield b"first "
        await wait_at(name)
        yield "last"

    return StreamingResponse(pieces(), status_code=206, background=BackgroundTask(note, name, "background"))


@app.get("/stream/many")
async def stream_many(n: int = 1000, size: int = 1000):
    async def pieces():
        for i in range(n):
            yield bytes([i % 256]) * size

    return StreamingResponse(pieces())


@app.get("/stream/length")
async def stream_with_length():
    async def pieces():
        yield b"12345"
        yield b""
        yield b"67890"

    return StreamingResponse(pieces(), headers={"Content-Length": "10"})


@app.get("/stream/empty")
def stream_empty():
    return StreamingResponse(iter(()))


@app.get("/stream/fails")
async def stream_fails():
    async def pieces():
        yield b"before"
        raise RuntimeError("in the middle of the stream")

    return StreamingResponse(pieces())


@app.get("/stream/until-gone/{name}")
async def stream_until_gone(name: str):
    async def pieces():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            note(name, "generator closed")

    return StreamingResponse(pieces())


class Tick(BaseModel):
    n: int
    text: str = "ü"


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterable[Tick]:
    for n in range(3):
        yield Tick(n=n)


@app.post("/events/full", response_class=EventSourceResponse)
def events_full() -> Iterable[ServerSentEvent]:
    yield ServerSentEvent(data={"a": 1}, event="named", id="7", retry=500)
    yield ServerSentEvent(raw_data="line one\nline two")
    yield ServerSentEvent(comment="only a comment")


@app.get("/events/slow/{name}", response_class=EventSourceResponse)
async def events_slow(name: str) -> AsyncIterable[str]:
    yield "first"
    await wait_at(name)
    yield "last"


@app.get("/jsonl")
async def json_lines() -> AsyncIterable[Tick]:
    for n in range(3):
        yield Tick(n=n)


@app.post("/upload")
async def upload(request: Request):
    digest, size, first = hashlib.sha256(), 0, None
    async for piece in request.stream():
        first = len(piece) if first is None else first
        digest.update(piece)
        size += len(piece)
    return {"size": size, "sha256": digest.hexdigest()}


@app.post("/upload/first/{name}")
async def upload_first(name: str, request: Request):
    """Tells about the first piece before the rest has been sent."""
    async for piece in request.stream():
        if piece:
            note(name, "got " + piece.decode())
    return "done"


@app.post("/upload/ignored")
async def upload_ignored():
    return "not read"


@app.get("/large")
async def large(size: int):
    return StreamingResponse(iter([b"x" * size]), headers={"Content-Length": str(size)})


@app.get("/background/{name}")
async def background(name: str, tasks: BackgroundTasks):
    async def slow():
        await wait_at(name)
        note(name, "async task")

    tasks.add_task(slow)
    tasks.add_task(note, name, "sync task")
    return "answered"


@app.get("/background/response/{name}")
def background_response(name: str):
    return JSONResponse({"ok": True}, background=BackgroundTask(note, name, "of the response"))


@app.get("/background/fails/{name}")
async def background_fails(name: str, tasks: BackgroundTasks):
    def fails():
        note(name, "failing")
        raise RuntimeError("in the background")

    tasks.add_task(fails)
    return "answered"


@app.get("/disconnect/poll/{name}")
async def disconnect_poll(name: str, request: Request):
    note(name, "waiting")
    while not await request.is_disconnected():
        await asyncio.sleep(0.001)
    note(name, "is_disconnected")


@app.get("/disconnect/receive/{name}")
async def disconnect_receive(name: str, request: Request):
    note(name, "waiting")
    message = await request.receive()
    message = await request.receive()
    note(name, message["type"])


@app.post("/disconnect/body/{name}")
async def disconnect_body(name: str, request: Request):
    note(name, "waiting")
    try:
        await request.body()
    except Exception as error:
        note(name, type(error).__name__)
        raise


@app.get("/disconnect/sync/{name}")
def disconnect_sync(name: str):
    """A plain handler runs to its end, whoever has left."""
    note(name, "waiting")
    assert gate(name).wait(BOUND)
    note(name, "finished")
