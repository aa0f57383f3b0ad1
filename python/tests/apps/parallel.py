"""Handlers that run at the same time, and objects that they share and change."""

from __future__ import annotations

import sys
import time

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
BOUND = 60

computing: set[str] = set()


@app.get("/compute/{me}/{other}")
def compute(me: str, other: str):
    """Computes until the other one does, too. No thread is asked to let another one in meanwhile."""
    sys.setswitchinterval(1000)
    computing.add(me)
    end = time.monotonic() + BOUND
    while other not in computing:
        if time.monotonic() > end:
            return {"met": False}
    return {"met": True}


@app.get("/gil")
def gil():
    return {"enabled": sys._is_gil_enabled()}


class Part(BaseModel):
    name: str
    tags: list[str]


class Shared(BaseModel):
    number: int
    part: Part


model = Shared(number=0, part=Part(name="Maß", tags=[]))
items: list[int] = []
#: Keys come and go, the list grows and is emptied, and each text is in both, not ASCII and new.
plain: dict[str, object] = {"items": items, "texts": {}}


@app.get("/change/{client}/{turn}")
def change(client: int, turn: int):
    texts: dict[str, object] = plain["texts"]  # type: ignore[assignment]
    for number in range(40):
        text = f"größer {client} {turn} {number} 木"
        plain[text] = texts[text] = [text, {"é": text}]
        items.append(number)
        if number >= 20:
            past = f"größer {client} {turn} {number - 20} 木"
            del plain[past], texts[past]
    for number in range(20, 40):
        past = f"größer {client} {turn} {number} 木"
        del plain[past], texts[past]
    items.clear()
    model.number = turn
    model.part = Part(name=f"Maß {client} {turn}", tags=[str(client)] * (turn % 5))
    return "changed"


@app.get("/plain")
def read_plain():
    return plain


@app.get("/a/plain")
async def read_plain_on_the_loop():
    return plain


@app.get("/model")
def read_model() -> Shared:
    return model


@app.get("/a/model", response_model=Shared)
async def read_model_on_the_loop():
    return model
