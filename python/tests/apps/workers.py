"""An application whose worker processes are told apart, held up, and killed. `FOLDER` is where tests and it leave notes."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

from bimetal import Bimetal

FOLDER = Path(os.environ["FOLDER"])
VERSION = (FOLDER / "version").read_text()

app = Bimetal()

if VERSION == "broken":
    raise RuntimeError("this version is broken")


@app.get("/health", handler_type="native")
def health(): ...


@app.get("/pid")
async def pid():
    return {"pid": os.getpid(), "version": VERSION}


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
