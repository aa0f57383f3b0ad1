"""An application whose worker processes are told apart, held up, and killed. `FOLDER` is where tests and it leave notes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi.responses import StreamingResponse

from bimetal import Bimetal

FOLDER = Path(os.environ["FOLDER"])
VERSION = (FOLDER / "version").read_text()


@asynccontextmanager
async def lifespan(_: Bimetal) -> AsyncIterator[None]:
    (FOLDER / "startup").touch()
    while VERSION == "waits":
        await asyncio.sleep(1)
    yield


app = Bimetal(lifespan=lifespan)
grown: list[bytes] = []

(FOLDER / "import").touch()
if VERSION == "broken":
    raise RuntimeError("this version is broken")
while VERSION == "hangs":
    time.sleep(1)


@app.get("/health", handler_type="native")
def health(): ...


@app.get("/pid")
async def pid():
    return {"pid": os.getpid(), "version": VERSION}


@app.get("/busy/def")
def busy():
    (FOLDER / "busy").touch()
    while True:
        pass


@app.get("/busy/loop")
async def busy_loop():
    (FOLDER / "busy").touch()
    while True:
        pass


@app.get("/events")
async def events():
    """Server-sent events without an end."""

    async def stream():
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0.05)
        finally:
            (FOLDER / "disconnected").touch()

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/grow/{mebibytes}")
def grow(mebibytes: int):
    grown.append(b"x" * (mebibytes << 20))
    return os.getpid()


@app.get("/held")
async def held():
    """Answers when the test lets it."""
    (FOLDER / "held").touch()
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return {"pid": os.getpid()}


@app.get("/gil/{milliseconds}")
async def gil(milliseconds: int):
    """Keeps the interpreter to itself."""
    (FOLDER / "gil").touch()
    ctypes.PyDLL(None).usleep(milliseconds * 1000)
    return {"pid": os.getpid()}


@app.get("/spin")
async def spin():
    """Never gives the interpreter back, not for a signal either."""
    (FOLDER / "gil").touch()
    return sum(range(10**15))


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), workers=2)
