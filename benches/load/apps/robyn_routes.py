"""The routes, in Robyn. It does not validate: bodies are parsed and returned."""

import asyncio
import sys

from robyn import Request, Robyn

app = Robyn(__file__)


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/users/:user_id")
def user(request: Request):
    user_id = int(request.path_params["user_id"])
    return {"id": user_id, "name": f"user{user_id}"}


@app.get("/search")
def search(request: Request):
    return {"q": request.query_params.get("q", ""), "limit": int(request.query_params.get("limit", "10"))}


@app.post("/items")
def item(request: Request):
    return request.json()


@app.get("/a/health")
async def a_health():
    return {"status": "ok"}


@app.get("/a/users/:user_id")
async def a_user(request: Request):
    user_id = int(request.path_params["user_id"])
    return {"id": user_id, "name": f"user{user_id}"}


@app.get("/a/sleep")
async def a_sleep():
    await asyncio.sleep(0.001)
    return {"slept": 0.001}


if __name__ == "__main__":
    port = int(sys.argv.pop())
    app.start(host="127.0.0.1", port=port)
