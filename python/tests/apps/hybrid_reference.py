"""The native routes of examples/hybrid in plain FastAPI: what their refusals are compared with."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@app.get("/users/{user_id}")
def get_user(user_id: int, verbose: bool = False):
    return user_id


@app.post("/items")
def create_item(item: Item):
    return item


@app.get("/missing")
def missing():
    raise HTTPException(404)


@app.get("/health")
def health():
    return "ok"
