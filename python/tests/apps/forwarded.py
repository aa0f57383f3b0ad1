"""What handlers see of the client and the URL, on each lane, and what middleware does with the scheme."""

from typing import Any

from fastapi import FastAPI, Request, WebSocket
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware


def seen(request: Request | WebSocket) -> dict[str, Any]:
    return {"client": request.client, "scheme": request.scope["scheme"], "url": str(request.url)}


app = FastAPI()


@app.get("/sync")
def in_sync(request: Request) -> dict[str, Any]:
    return seen(request)


@app.get("/async")
async def in_async(request: Request) -> dict[str, Any]:
    return seen(request)


@app.websocket("/socket")
async def in_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(seen(socket))
    await socket.close()


redirecting = FastAPI()
redirecting.add_middleware(HTTPSRedirectMiddleware)


@redirecting.get("/secure")
def secure() -> str:
    return "secure"


async def wrapped(scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)
