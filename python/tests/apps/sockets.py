"""WebSocket endpoints."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Header, Query, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import PlainTextResponse
from starlette.websockets import WebSocketState

app = FastAPI()
notes: list[str] = []


@app.get("/notes")
async def read_notes(until: str):
    while until not in notes:
        await asyncio.sleep(0.001)
    seen = notes.copy()
    notes.clear()
    return seen


@app.websocket("/echo")
async def echo(ws: WebSocket):
    await ws.accept()
    while True:
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") is not None:
            await ws.send_text(message["text"])
        else:
            await ws.send_bytes(message["bytes"])


@app.websocket("/json/{n}")
async def json_echo(ws: WebSocket, n: int, q: str | None = None, x: Annotated[str, Header()] = "none"):
    await ws.accept()
    data = await ws.receive_json()
    await ws.send_json({"n": n, "q": q, "x": x, "data": data})
    await ws.close()


@app.websocket("/scope/{rest:path}")
async def scope(ws: WebSocket):
    await ws.accept()
    await ws.send_json({
        "type": ws.scope["type"], "asgi": ws.scope["asgi"]["version"], "http_version": ws.scope["http_version"],
        "scheme": ws.scope["scheme"], "path": ws.scope["path"], "raw_path": ws.scope["raw_path"].decode(),
        "query": ws.scope["query_string"].decode(), "root_path": ws.scope["root_path"], "url": str(ws.url),
        "subprotocols": ws.scope["subprotocols"], "client": ws.scope["client"][0], "state": dict(ws.scope["state"]),
        "headers": [[k.decode(), v.decode()] for k, v in ws.scope["headers"] if k.startswith((b"x-", b"cookie"))],
        "method": "method" in ws.scope, "extensions": sorted(ws.scope.get("extensions", {})),
    })  # fmt: skip
    await ws.close(1000)


@app.websocket("/server-closes/{code}")
async def server_closes(ws: WebSocket, code: int, reason: str | None = None):
    await ws.accept()
    await ws.close(code, reason)


@app.websocket("/tells")
async def tells(ws: WebSocket):
    """Says on standard output how the session ended."""
    await ws.accept()
    message = await ws.receive()
    print(f"disconnect {message.get('code')}", flush=True)


woken = asyncio.Event()


@app.websocket("/late")
async def late(ws: WebSocket):
    """Receives nothing until it is woken."""
    await ws.accept()
    await woken.wait()
    sizes = [len(await ws.receive_bytes()) for _ in range(32)]
    await ws.send_text(f"{len(sizes)} of {min(sizes)}")


@app.get("/wake")
async def wake():
    woken.set()


@app.websocket("/client-closes")
async def client_closes(ws: WebSocket):
    await ws.accept()
    try:
        await ws.receive_text()
    except WebSocketDisconnect as gone:
        notes.append(f"{gone.code} {gone.reason}")
        notes.append("closed")
        assert ws.client_state == WebSocketState.DISCONNECTED


@app.websocket("/refuse")
async def refuse(ws: WebSocket):
    await ws.close(1008)


@app.websocket("/denial")
async def denial(ws: WebSocket):
    await ws.send_denial_response(PlainTextResponse("not today", 429, headers={"X-Denied": "1", "Retry-After": "5"}))


async def session(
    ws: WebSocket, cookie: Annotated[str | None, Cookie()] = None, token: Annotated[str | None, Query()] = None
):
    if cookie is None and token is None:
        raise WebSocketException(code=1008, reason="no session")
    yield cookie or token
    notes.append("dependency exit")


@app.websocket("/guarded")
async def guarded(ws: WebSocket, who: Annotated[str, Depends(session)]):
    await ws.accept()
    await ws.send_text(f"hello {who}")


@app.websocket("/late-exception")
async def late_exception(ws: WebSocket):
    await ws.accept()
    raise WebSocketException(code=4001, reason="late")


@app.websocket("/boom/{when}")
async def boom(ws: WebSocket, when: str):
    if when == "after":
        await ws.accept()
    raise RuntimeError(f"boom {when} accept")


@app.websocket("/subprotocol")
async def subprotocol(ws: WebSocket):
    wanted = ws.scope["subprotocols"]
    await ws.accept("v2" if "v2" in wanted else None, headers=[(b"x-accepted", b"yes")])
    await ws.send_json(wanted)


@app.websocket("/validated/{n}")
async def validated(ws: WebSocket, n: int):
    await ws.accept()


@app.websocket("/send-after-close")
async def send_after_close(ws: WebSocket):
    await ws.accept()
    await ws.close()
    try:
        await ws.send({"type": "websocket.send", "text": "late"})
    except Exception as error:
        notes.append(type(error).__name__)
    notes.append("tried")


@app.websocket("/push/{count}")
async def push(ws: WebSocket, count: int):
    """The server talks without being asked, while it listens."""
    await ws.accept()

    async def talk():
        for n in range(count):
            await ws.send_text(str(n))

    talking = asyncio.create_task(talk())
    await ws.receive_text()
    await talking
    await ws.send_text("heard you")


room: set[WebSocket] = set()


@app.websocket("/room/{name}")
async def chat(ws: WebSocket, name: str):
    await ws.accept()
    room.add(ws)
    await ws.send_text(f"welcome {name}")
    try:
        async for text in ws.iter_text():
            for member in list(room):
                await member.send_text(f"{name}: {text}")
    finally:
        room.discard(ws)


@app.get("/http")
def http():
    return "http"
