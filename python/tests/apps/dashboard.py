"""Routes of every kind for the page for people, with names that are markup if nobody sees to it. `FOLDER` takes notes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from bimetal import native

FOLDER = Path(os.environ.get("FOLDER", "."))

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float


@app.get("/health")
@native("health")
def health():
    return {"status": "ok"}


@app.get("/items/{item_id}")
def item(item_id: int):
    return {"item": item_id}


@app.post("/items")
async def new_item(item: Item) -> Item:
    return item


@app.get("/report")
async def report(seconds: float = 0.02):
    await asyncio.sleep(seconds)
    return {"rows": [1, 2, 3]}


@app.get("/broken")
def broken():
    raise RuntimeError("broken")


@app.get("/missing")
def missing():
    raise HTTPException(404)


@app.get("/<img src=x onerror=document.title='hurt'>")
def markup():
    return {}


@app.get("/gil")
async def gil():
    """Keeps the interpreter to itself until the test lets it, or for a minute."""
    (FOLDER / "gil").touch()
    usleep = ctypes.PyDLL(None).usleep
    until = time.monotonic() + 60
    while not (FOLDER / "go").exists() and time.monotonic() < until:
        usleep(100_000)
    return {}


app.router.routes.append(Mount("/files", PlainTextResponse("file")))
