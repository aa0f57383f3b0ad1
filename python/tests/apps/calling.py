"""Native routes that call the other routes of the application, on every lane. `CALLER` is the plugin's library."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse

from bimetal import Bimetal
from bimetal.errors import BimetalError

LIBRARY = os.environ["CALLER"]
FOLDER = Path(os.environ.get("FOLDER", "."))


def note(line: str) -> None:
    with (FOLDER / "journal").open("a") as journal:
        journal.write(f"{line}\n")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"greeting": "hello"}


app = Bimetal(plugins=[(LIBRARY, {"folder": str(FOLDER)})], lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"], allow_methods=["*"])


def natives(app: Bimetal, **options: Any) -> None:
    methods = ["GET", "POST", "DELETE"]
    app.api_route("/relay", methods=methods, handler_type="native", native="caller.relay", **options)(stub)
    for path in [
        "relay_blocking",
        "failure",
        "gives_up",
        "panics",
        "panics_later",
        "panics_blocking",
        "panics_in_job",
        "works",
    ]:
        app.api_route(f"/{path}", methods=["GET", "POST"], handler_type="native", native=f"caller.{path}", **options)(
            stub
        )


def stub(): ...


natives(app)


@app.get("/metrics", handler_type="native", native="metrics")
def metrics(): ...


@app.get("/sync/{n}")
def sync(n: int, request: Request) -> dict[str, Any]:
    return {"n": n, "x": request.headers.get("x-from"), "greeting": request.state.greeting}


@app.get("/async/{n}")
async def asynchronous(n: int) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"async": n}


def dependency(q: str = "none") -> str:
    return q


@app.post("/body")
def body(response: Response, item: dict[str, int], q: str = Depends(dependency)) -> dict[str, Any]:
    response.status_code = 201
    response.headers["x-q"] = q
    return {"sum": sum(item.values())}


@app.get("/raises")
def raises() -> None:
    raise RuntimeError("on purpose")


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, "I am a teapot")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for n in range(100):
            yield f"{n},"

    return StreamingResponse(parts())


@app.get("/seen")
def seen(request: Request) -> dict[str, Any]:
    return {
        "host": request.headers["host"],
        "url": str(request.url),
        "client": request.client,
        "server": request.scope["server"],
    }


@app.get("/waits")
async def waits() -> str:
    note("waits")
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.005)
    return "waited"


@app.get("/until_gone")
async def until_gone(request: Request) -> None:
    note("called")
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    note("gone")


@app.get("/in_circles")
async def in_circles() -> None: ...


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


@app.post("/reload")
def reload(response: Response) -> Any:
    try:
        return app.reload_plugins()
    except BimetalError as error:
        response.status_code = 409
        return str(error)


#: Behind a middleware of the application's own, which the native routes leave out and what they call does not.
layered = Bimetal(plugins=[LIBRARY])


@layered.middleware("http")
async def stamp(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["x-stamp"] = request.url.path
    return response


natives(layered, bypass=["middleware:stamp"])


@layered.get("/python")
async def python() -> str:
    return "python"
