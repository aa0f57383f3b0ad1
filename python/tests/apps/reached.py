"""What handlers see of how they are reached, on each lane."""

from typing import Any

from fastapi import FastAPI, Request, WebSocket
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware


def seen(request: Request | WebSocket) -> dict[str, Any]:
    keys = ("type", "client", "server", "scheme", "http_version", "path", "raw_path", "query_string", "headers")
    scope = {key: request.scope[key] for key in keys}
    return {key: repr(value) for key, value in scope.items()} | {"url": str(request.url)}


app = FastAPI()


@app.get("/sync")
def in_sync(request: Request) -> dict[str, Any]:
    return seen(request)


@app.get("/async")
async def in_async(request: Request) -> dict[str, Any]:
    return seen(request)


@app.post("/body")
async def body(request: Request) -> int:
    return len(await request.body())


@app.websocket("/socket")
async def in_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(seen(socket))
    await socket.send_text(await socket.receive_text())
    await socket.close()


async def wrapped(scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


redirecting = FastAPI()
redirecting.add_middleware(HTTPSRedirectMiddleware)


@redirecting.get("/secure")
def secure() -> str:
    return "secure"
