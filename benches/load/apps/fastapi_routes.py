"""The routes, in FastAPI: served by Bimetal, uvicorn and Granian alike."""

import asyncio

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/users/{user_id}")
def user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@app.get("/search")
def search(q: str, limit: int = 10):
    return {"q": q, "limit": limit}


@app.post("/items")
def item(item: Item) -> Item:
    return item


@app.get("/a/health")
async def a_health():
    return {"status": "ok"}


@app.get("/a/users/{user_id}")
async def a_user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@app.get("/a/sleep")
async def a_sleep():
    await asyncio.sleep(0.001)
    return {"slept": 0.001}
