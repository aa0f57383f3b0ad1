"""A plain FastAPI application: nothing in it knows of Bimetal.

    bimetal run main:app

`/` and `/items/{item_id}` are compiled (sync and async lane), the WebSocket is served through ASGI: `bimetal routes
main:app` shows which is which, and why.
"""

from __future__ import annotations

from fastapi import FastAPI, WebSocket

app = FastAPI(title="Hello")


@app.get("/")
def read_root():
    return {"hello": "world"}


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
