"""The routes, in BlackSheep."""

import asyncio
from dataclasses import dataclass, field

from blacksheep import Application, FromJSON, get, post

app = Application()


@dataclass
class Item:
    name: str
    price: float
    tags: list[str] = field(default_factory=list)


@get("/health")
def health():
    return {"status": "ok"}


@get("/users/{user_id}")
def user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@get("/search")
def search(q: str, limit: int = 10):
    return {"q": q, "limit": limit}


@post("/items")
def item(item: FromJSON[Item]):
    return item.value


@get("/a/health")
async def a_health():
    return {"status": "ok"}


@get("/a/users/{user_id}")
async def a_user(user_id: int):
    return {"id": user_id, "name": f"user{user_id}"}


@get("/a/sleep")
async def a_sleep():
    await asyncio.sleep(0.001)
    return {"slept": 0.001}
