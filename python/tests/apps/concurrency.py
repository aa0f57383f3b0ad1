"""Handlers that wait for each other: whoever runs one after the other never gets through."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
import time

from fastapi import FastAPI

app = FastAPI()
BOUND = 60

barriers: dict[str, threading.Barrier] = {}
lock = threading.Lock()
inside: dict[str, int] = {}
release: dict[str, asyncio.Event] = {}


@app.get("/sync/meet/{name}/{parties}")
def sync_meet(name: str, parties: int):
    """Returns once `parties` requests are inside at the same time."""
    with lock:
        barrier = barriers.setdefault(name, threading.Barrier(parties))
    return {"position": barrier.wait(BOUND)}


@app.get("/async/meet/{name}/{parties}")
async def async_meet(name: str, parties: int):
    inside[name] = inside.get(name, 0) + 1
    event = release.setdefault(name, asyncio.Event())
    if inside[name] == parties:
        event.set()
    await asyncio.wait_for(event.wait(), BOUND)
    return {"position": inside[name]}


gate = threading.Event()


@app.get("/sync/blocked")
def sync_blocked():
    assert gate.wait(BOUND)
    return "released"


@app.get("/sync/quick")
def sync_quick():
    return "quick"


@app.get("/async/quick")
async def async_quick():
    return "quick"


@app.get("/async/release")
async def async_release():
    gate.set()
    return "opened"


@app.get("/sync/compute")
def sync_compute(seconds: float):
    """Holds the interpreter as computing Python code does: it lets go only when it is asked to."""
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        n += 1
    return "computed"


@app.get("/sync/hold")
def sync_hold(seconds: int):
    """Holds the interpreter as a library that never lets go of it does."""
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@app.get("/sync/context/{value}")
def sync_context(value: str):
    before = variable.get()
    variable.set(value)
    return [before, variable.get()]


@app.get("/async/context/{value}")
async def async_context(value: str):
    before = variable.get()
    variable.set(value)
    await asyncio.sleep(0)
    return [before, variable.get()]


@app.get("/async/task/{value}")
async def async_task(value: str):
    """A task started by a handler inherits its context and outlives it."""
    variable.set(value)

    async def later():
        await asyncio.sleep(0)
        return variable.get()

    return await asyncio.create_task(later())


@app.get("/sync/where")
def sync_where():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return {"loop": False, "main": threading.current_thread() is threading.main_thread()}
    return {"loop": True, "main": None}


@app.get("/async/where")
async def async_where():
    task = asyncio.current_task()
    return {"task": task is not None, "same_loop": asyncio.get_running_loop() is (task and task.get_loop())}


@app.get("/async/timeout")
async def async_timeout():
    try:
        await asyncio.wait_for(asyncio.sleep(BOUND), 0.01)
    except asyncio.TimeoutError:
        return "timed out"


@app.get("/async/thread")
async def async_thread():
    return await asyncio.to_thread(lambda: variable.get())
