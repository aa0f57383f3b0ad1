"""The routes, in TurboAPI."""

import asyncio
import sys

from turboapi import TurboAPI

app = TurboAPI()


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
def item(name: str, price: float, tags: list = []):  # noqa: B006 - its way to declare the fields of a body
    return {"name": name, "price": price, "tags": tags}


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


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
