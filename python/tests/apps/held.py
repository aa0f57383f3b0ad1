"""What runs after the response waits here for the client to say that it has the response."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from fastapi.responses import StreamingResponse
from journal import note

app = FastAPI()
#: Upper bound in seconds, reached only when the response never comes.
BOUND = 60

gates: dict[str, threading.Event] = {}


@app.get("/open/{name}")
async def open_gate(name: str):
    note("client has the response of", name)
    gates[name].set()


def hold(name: str) -> None:
    assert gates[name].wait(BOUND)


async def hold_async(name: str) -> None:
    with anyio.fail_after(BOUND):
        while not gates[name].is_set():
            await anyio.sleep(0.001)


def sync_exit(name: str) -> Iterator[str]:
    gates[name] = threading.Event()
    yield name
    hold(name)
    note("exit", name)


async def async_exit(name: str) -> AsyncIterator[str]:
    gates[name] = threading.Event()
    yield name
    await hold_async(name)
    note("exit", name)


def background_of(kind: str, name: str, tasks: BackgroundTasks) -> None:
    gates[name] = threading.Event()
    tasks.add_task(hold if kind == "sync" else hold_async, name)
    tasks.add_task(note, "exit", name)


def block_the_loop(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as waiting:
        assert waiting.recv(1) == b"."


async def block_in_background(port: int) -> None:
    block_the_loop(port)


async def blocking_exit(port: int) -> AsyncIterator[int]:
    yield port
    block_the_loop(port)


@app.get("/blocking-background/{port}")
async def with_blocking_background(port: int, tasks: BackgroundTasks):
    tasks.add_task(block_in_background, port)
    return port


@app.get("/blocking-exit/{port}")
async def with_blocking_exit(port: int = Depends(blocking_exit)):
    return port


@app.get("/sync/sync-exit/{name}")
def sync_with_sync_exit(name: str = Depends(sync_exit)):
    return name


@app.get("/sync/async-exit/{name}")
def sync_with_async_exit(name: str = Depends(async_exit)):
    return name


@app.get("/async/sync-exit/{name}")
async def async_with_sync_exit(name: str = Depends(sync_exit)):
    return name


@app.get("/async/async-exit/{name}")
async def async_with_async_exit(name: str = Depends(async_exit)):
    return name


@app.get("/stream/async-exit/{name}")
async def stream_with_async_exit(name: str = Depends(async_exit)):
    return StreamingResponse(iter([name, name]), media_type="text/plain")


@app.get("/response/sync-exit/{name}")
def response_with_sync_exit(name: str = Depends(sync_exit)):
    return Response(name)


@app.get("/sync/sync-background/{name}")
def sync_with_sync_background(name: str, tasks: BackgroundTasks):
    background_of("sync", name, tasks)
    return name


@app.get("/sync/async-background/{name}")
def sync_with_async_background(name: str, tasks: BackgroundTasks):
    background_of("async", name, tasks)
    return name


@app.get("/async/sync-background/{name}")
async def async_with_sync_background(name: str, tasks: BackgroundTasks):
    background_of("sync", name, tasks)
    return name


@app.get("/async/async-background/{name}")
async def async_with_async_background(name: str, tasks: BackgroundTasks):
    background_of("async", name, tasks)
    return Response(name)
