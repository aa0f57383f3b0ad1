"""One of several instances behind a proxy, which says which one it is. `FOLDER` is where tests and it leave notes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI, Request

FOLDER = Path(os.environ["FOLDER"])
#: The instance, whatever process of it answers.
NAME = os.environ["INSTANCE"]

app = FastAPI()


@app.get("/who")
def who():
    return {"instance": NAME}


@app.post("/orders")
async def order(request: Request):
    return {"instance": NAME, "size": len(await request.body())}


@app.post("/held/{number}")
async def held(number: int):
    """Answers when the test lets it."""
    (FOLDER / f"held-{number}-{NAME}").touch()
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return {"instance": NAME}


@app.get("/seen")
async def seen(request: Request):
    client = request.client
    return {
        "client": client.host if client else None,
        "url": str(request.url),
        "id": request.headers.get("x-request-id"),
        "connection": request.headers.get("connection"),
    }
