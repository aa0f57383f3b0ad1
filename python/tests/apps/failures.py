"""Exceptions of every kind in every place, under different exception handlers.

`/{sync|async}/{place}?error={kind}`; each application of `APPS` has the same routes and handlers of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from journal import Broken, Known, name_of, note
from pydantic import AfterValidator, BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException


class Fatal(BaseException):
    """Not an `Exception`: passes every handler."""


class Younger(Known):
    """Found by the handler of its base class."""


class HTTPChild(HTTPException):
    pass


class Silent(Exception):
    """Its handler returns None."""


class Streamed(Exception):
    """Its handler answers with a stream."""


class Again(Exception):
    """Its handler raises."""


class Reraised(Exception):
    """Its handler raises the same exception again."""


class WithTask(Exception):
    """Its handler's response has a background task."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "broken": lambda: Broken("raised on purpose"),
    "known": lambda: Known("known"),
    "younger": lambda: Younger("younger"),
    "http": lambda: HTTPException(418, {"a": ["teapot"]}, {"X-Tea": "pot"}),
    "http-child": lambda: HTTPChild(404, "not here"),
    "http-500": lambda: HTTPException(500, "explicit"),
    "http-204": lambda: HTTPException(204),
    "starlette": lambda: StarletteHTTPException(409),
    "request-validation": lambda: RequestValidationError([{"loc": ("x",), "msg": "m", "type": "t", "ctx": {"n": 1}}]),
    "response-validation": lambda: ResponseValidationError([{"loc": ("response",), "msg": "m", "type": "t"}]),
    "value": lambda: ValueError("value"),
    "stop": lambda: StopIteration("stop"),
    "stop-async": lambda: StopAsyncIteration("stop"),
    "timeout": lambda: TimeoutError("late"),
    "silent": lambda: Silent("silent"),
    "streamed": lambda: Streamed("streamed"),
    "again": lambda: Again("again"),
    "reraised": lambda: Reraised("reraised"),
    "with-task": lambda: WithTask("with task"),
    "cancelled": lambda: asyncio.CancelledError("by itself"),
    "fatal": lambda: Fatal("fatal"),
}


def fail(place: str, error: str) -> Any:
    note("fails in", place)
    raise ERRORS[error]()


def sync_dependency(error: str) -> None:
    fail("sync dependency", error)


async def async_dependency(error: str) -> None:
    fail("async dependency", error)


class ClassDependency:
    def __init__(self, error: str) -> None:
        fail("class dependency", error)


def before_sync_yield(error: str) -> Iterator[None]:
    fail("before yield", error)
    yield


async def before_async_yield(error: str) -> AsyncIterator[None]:
    fail("before yield", error)
    yield


async def outer(request: Request) -> AsyncIterator[None]:
    """Entered before the failing one, so it sees what that raises."""
    try:
        yield
    except BaseException as error:
        note("outer saw", name_of(error))
        raise
    finally:
        note("end")


async def nothing() -> None:
    return None


def checked(value: str) -> str:
    """A validator that raises what is neither ValueError nor AssertionError."""
    fail("validator", value)
    return value


class Checked(BaseModel):
    value: Annotated[str, AfterValidator(checked)]


class Unrenderable(JSONResponse):
    def render(self, content: Any) -> bytes:
        return fail("render", content["error"])


class Uncallable(Response):
    def __init__(self, error: str, early: bool) -> None:
        super().__init__(b"")
        self.error, self.early = error, early

    async def __call__(self, scope, receive, send) -> None:
        if not self.early:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        fail("response", self.error)


class Unencodable:
    def __iter__(self):
        raise TypeError("not iterable")


async def pieces(error: str, count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"piece %d\n" % number
    fail("stream", error)


def sync_pieces(error: str, count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"piece %d\n" % number
    fail("stream", error)


async def failing_task(error: str) -> None:
    fail("async background", error)


def result(place: str, error: str, background: BackgroundTasks) -> Any:
    background.add_task(note, "first background")
    if place == "handler":
        fail("handler", error)
    if place == "sync-background":
        background.add_task(fail, "sync background", error)
    if place == "async-background":
        background.add_task(failing_task, error)
    if place == "response-early":
        return Uncallable(error, early=True)
    if place == "response-late":
        return Uncallable(error, early=False)
    if place == "stream-first":
        return StreamingResponse(pieces(error, 0))
    if place == "stream-later":
        return StreamingResponse(pieces(error, 2), media_type="text/plain")
    if place == "sync-stream":
        return StreamingResponse(sync_pieces(error, 1))
    background.add_task(note, "last background")
    return {"error": error}


#: The dependency that fails, for the places that are one.
DEPENDENCIES: dict[str, Callable[..., Any]] = {
    "sync-dependency": sync_dependency,
    "async-dependency": async_dependency,
    "class-dependency": ClassDependency,
    "before-sync-yield": before_sync_yield,
    "before-async-yield": before_async_yield,
}
PLACES = [
    *DEPENDENCIES, "handler", "sync-background", "async-background", "response-early", "response-late", "stream-first",
    "stream-later", "sync-stream", "render",
]  # fmt: skip

#: What a handler returns that is not a valid or serialisable value; `?value=` of the routes below.
VALUES: dict[str, Callable[[], Any]] = {
    "object": object,
    "set": lambda: {1},
    "nan": lambda: float("nan"),
    "infinity": lambda: {"x": [float("inf")]},
    "bytes": lambda: b"\xff",
    "surrogate": lambda: "\ud800",
    "unencodable": Unencodable,
    "text": lambda: "not a number",
    "missing": dict,
    "none": lambda: None,
    "long": lambda: 2**70,
    "lambda": lambda: lambda: 1,
}


class Item(BaseModel):
    number: int


def routes(app: FastAPI) -> FastAPI:
    for place in PLACES:
        depends = [Depends(outer), Depends(DEPENDENCIES.get(place, nothing))]
        options: dict[str, Any] = {"dependencies": depends}
        if place == "render":
            options["response_class"] = Unrenderable
        failing(app, place, options)
    for name, model in {"any": None, "int": int, "item": Item, "list": list[Item], "float": float}.items():
        returning(app, name, {"response_model": model, "dependencies": [Depends(outer)]})

    @app.post("/validator", dependencies=[Depends(outer)])
    def validator(item: Checked):
        return item

    @app.post("/item", dependencies=[Depends(outer)])
    def item(item: Item, x_number: int = Header()):
        return item

    return app


def failing(app: FastAPI, place: str, options: dict[str, Any]) -> None:
    @app.get(f"/sync/{place}", **options)
    def sync_route(error: str, background: BackgroundTasks):
        return result(place, error, background)

    @app.get(f"/async/{place}", **options)
    async def async_route(error: str, background: BackgroundTasks):
        return result(place, error, background)


def returning(app: FastAPI, name: str, options: dict[str, Any]) -> None:
    @app.get(f"/sync/returns/{name}", **options)
    def sync_route(value: str):
        return VALUES[value]()

    @app.get(f"/async/returns/{name}", **options)
    async def async_route(value: str):
        return VALUES[value]()


def with_handlers(app: FastAPI, handlers: dict[Any, Callable[..., Any]]) -> FastAPI:
    for key, handler in handlers.items():
        app.add_exception_handler(key, handler)
    return app


def sync_text(request: Request, error: Exception):
    note("sync handler", name_of(error))
    return PlainTextResponse(f"{name_of(error)} at {request.url.path}", 410)


async def text(request: Request, error: Exception):
    note("async handler", name_of(error))
    return PlainTextResponse(f"{name_of(error)} at {request.url.path}", 411, headers={"X-Handled": "yes"})


async def validation(request: Request, error: RequestValidationError):
    note("validation handler")
    return JSONResponse({"errors": len(error.errors()), "body": error.body}, 400)


def response_validation(request: Request, error: ResponseValidationError):
    note("response validation handler")
    return JSONResponse({"errors": [e["type"] for e in error.errors()], "loc": [e["loc"] for e in error.errors()]}, 512)


async def silent(request: Request, error: Exception):
    note("silent handler")


def streamed(request: Request, error: Exception):
    return StreamingResponse(iter(["streamed ", "by the handler"]), 203, media_type="text/plain")


async def again(request: Request, error: Exception):
    note("failing handler")
    raise Broken("in the handler") from error


async def reraised(request: Request, error: Exception):
    raise error


def with_task(request: Request, error: Exception):
    tasks = BackgroundTasks()
    tasks.add_task(note, "background of the handler")
    return PlainTextResponse("with a task", 202, background=tasks)


HANDLERS: dict[Any, Callable[..., Any]] = {
    Known: sync_text,
    Silent: silent,
    Streamed: streamed,
    Again: again,
    Reraised: reraised,
    WithTask: with_task,
    TimeoutError: text,
}
bare = routes(FastAPI())
handled = with_handlers(
    routes(FastAPI()),
    HANDLERS | {
        Exception: text,
        404: sync_text,
        RequestValidationError: validation,
        ResponseValidationError: response_validation,
    },
)  # fmt: skip
statuses = with_handlers(
    routes(FastAPI(exception_handlers={500: sync_text})), {418: text, 422: text, HTTPChild: text, ValueError: text}
)
http = with_handlers(routes(FastAPI()), {StarletteHTTPException: text, HTTPException: sync_text, 409: silent})
raising = with_handlers(
    routes(FastAPI()), {Exception: again, Known: again, 404: again, RequestValidationError: reraised}
)
debug = with_handlers(routes(FastAPI(debug=True)), {Known: text, Exception: text})
APPS = ["bare", "handled", "statuses", "http", "raising"]
