"""An application whose threads and event loop can be kept busy. `FOLDER` is where tests and it leave notes."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from fastapi import FastAPI

FOLDER = Path(os.environ["FOLDER"])


def until(name: str) -> None:
    while not (FOLDER / name).exists():
        time.sleep(0.01)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if "SLOW" in os.environ:
        (FOLDER / "starting").touch()
        while not (FOLDER / "start").exists():
            await anyio.sleep(0.01)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/pid")
async def pid():
    return {"pid": os.getpid()}


@app.get("/block")
def block():
    """Answers when the test lets it; on a thread."""
    until("go")
    return {}


@app.get("/freeze")
async def freeze():
    """Answers when the test lets it, and nothing else runs on the event loop."""
    (FOLDER / "frozen").touch()
    until("go")
    return {}


@app.get("/hold")
async def hold():
    """Answers when the test lets it."""
    (FOLDER / "held").touch()
    while not (FOLDER / "go").exists():
        await anyio.sleep(0.01)
    return {}


@app.get("/gil/{seconds}")
async def gil(seconds: int):
    """Keeps the interpreter to itself."""
    (FOLDER / "gil").touch()
    ctypes.PyDLL(None).sleep(seconds)
    return {}


@app.get("/header")
async def header():
    return {}
