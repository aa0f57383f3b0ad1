"""The routes that applications with middleware have in common."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from journal import Broken, Known, name_of, note
from pydantic import BaseModel

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
HERE = Path(__file__).parent
#: Upper bound in seconds, reached only by a hang.
BOUND = 60
gate: dict[str, anyio.Event] = {}


class Item(BaseModel):
    n: int


async def held(request: Request) -> AsyncIterator[str]:
    note("enter")
    try:
        yield getattr(request.state, "mark", "none")
    except BaseException as error:
        note("dependency saw", name_of(error))
        raise
    finally:
        note("exit")


def sync_held() -> Iterator[None]:
    note("sync enter")
    yield
    note("sync exit")


def routes(app: FastAPI) -> FastAPI:
    @app.exception_handler(Known)
    async def known_handler(request: Request, error: Known):
        note("handler of Known")
        return JSONResponse({"known": str(error)}, 418)

    @app.get("/sync")
    def sync(n: int = 0):
        note("handler", n)
        return {"n": n, "variable": variable.get()}

    @app.get("/async")
    async def async_(request: Request, n: int = 0):
        note("handler", n)
        request.state.late = "set by the handler"
        seen = variable.get()
        variable.set("handler")
        return {"n": n, "variable": seen, "mark": getattr(request.state, "mark", None)}

    @app.get("/target")
    async def target(request: Request, n: int = 0):
        note("target", n)
        return [request.url.path, request.url.query, request.cookies.get("added"), request.headers.get("x-added")]

    @app.post("/sync")
    def post(n: int = 0):
        return ["posted", n]

    @app.get("/yield", dependencies=[Depends(sync_held)])
    async def with_yield(value: Annotated[str, Depends(held)], background: BackgroundTasks, then: str = ""):
        note("handler")
        background.add_task(note, "background")
        if then == "broken":
            raise Broken("from the handler")
        if then == "known":
            raise Known("from the handler")
        if then == "background":
            background.add_task(fails)
        return value

    @app.get("/yield/function", dependencies=[Depends(sync_held, scope="function")])
    def with_function_yield(response: Response, value: Annotated[str, Depends(held, scope="function")]):
        response.headers["X-Handler"] = "yes"
        note("handler")
        return value

    @app.get("/http")
    def http():
        raise HTTPException(404, "by the handler", {"X-Handler": "1"})

    @app.get("/broken")
    async def broken():
        try:
            raise KeyError("its cause")
        except KeyError as error:
            raise Broken("from the handler") from error

    @app.get("/sync/broken")
    def sync_broken():
        raise Broken("from the sync handler")

    @app.get("/invalid")
    def invalid() -> int:
        return "not a number"  # type: ignore[return-value]

    @app.get("/empty", status_code=204)
    def empty():
        return None

    @app.get("/text", response_class=PlainTextResponse)
    async def text():
        return "text"

    @app.get("/large")
    def large():
        return {"text": "abc" * 100_000}

    @app.get("/stream")
    async def stream(fail: bool = False):
        async def pieces():
            for number in range(3):
                yield f"piece {number}\n" * 100
            if fail:
                raise Broken("in the stream")
            note("streamed all")

        return StreamingResponse(pieces(), headers={"X-Handler": "stream"}, media_type="text/plain")

    @app.get("/stream/sync")
    def sync_stream(background: BackgroundTasks):
        background.add_task(note, "background")
        return StreamingResponse(iter(["a", "b", "", "c"]), media_type="text/plain", background=background)

    @app.get("/events")
    async def events():
        async def pieces():
            for number in range(3):
                yield f"id: {number}\ndata: x\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    @app.get("/file")
    async def file():
        return FileResponse(HERE / "journal.py", media_type="text/x-python", filename="journal.txt")

    @app.post("/echo")
    async def echo(request: Request):
        return Response(await request.body(), media_type=request.headers.get("content-type"))

    @app.post("/json")
    def json(item: Item):
        note("item", item.n)
        return item

    @app.post("/json/async")
    async def async_json(item: Item, request: Request):
        return [item.n, (await request.body()).decode()]

    @app.post("/form")
    async def form(n: Annotated[int, Form()]):
        return n

    @app.post("/upload")
    async def upload(file: UploadFile, n: Annotated[int, Form()] = 0):
        return [file.filename, (await file.read()).decode(), n]

    @app.post("/unread")
    async def unread():
        return "unread"

    @app.get("/disconnected")
    async def disconnected(request: Request):
        return await request.is_disconnected()

    @app.get("/slash/")
    def slash():
        return "slash"

    @app.get("/held/{name}")
    async def waits(name: str, value: Annotated[str, Depends(held)]):
        gate[name] = anyio.Event()
        note("waits")
        try:
            with anyio.fail_after(BOUND):
                await gate[name].wait()
        except BaseException as error:
            note("handler saw", name_of(error))
            raise
        note("waited")

    @app.get("/open/{name}")
    async def open_gate(name: str):
        gate[name].set()

    sub = FastAPI()

    @sub.get("/item/{item}")
    def sub_item(request: Request, item: int):
        return [item, request.scope["root_path"], variable.get(), getattr(request.state, "mark", None)]

    @sub.get("/broken")
    def sub_broken():
        raise Broken("in the mounted application")

    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory=HERE))
    return app


async def fails() -> Any:
    raise Broken("in the background")
