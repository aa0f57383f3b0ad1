"""The routes, in FastAPI: served by Bimetal, uvicorn and Granian alike.

`LOAD_AROUND` puts something around them: `http` (one `@app.middleware("http")` that adds a header field), `asgi` (one
pure ASGI middleware that does the same), `wrapped` (an ASGI callable that is no FastAPI application).
"""

import asyncio
import os

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


class AddsField:
    """A pure ASGI middleware."""

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        async def send_more(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-added", b"1")]
            await send(message)

        await self.inner(scope, receive, send_more)


around = os.environ.get("LOAD_AROUND")
if around == "http":

    @app.middleware("http")
    async def adds_field(request, call_next):
        response = await call_next(request)
        response.headers["x-added"] = "1"
        return response

elif around == "asgi":
    app.add_middleware(AddsField)
elif around == "wrapped":
    app = AddsField(app)
