"""Dependencies with `yield` around handlers with every outcome: what runs, in which order, and who sees which exception.

`/{sync|async}/{shape}?then={outcome}`: a handler of that kind, under the dependencies of a shape. Every route is under
`watched`, entered first and left last, so that a request has ended once "end" is noted and its answer has arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from journal import Broken, Known, name_of, note
from starlette.exceptions import HTTPException as StarletteHTTPException

app = FastAPI()


@app.exception_handler(Known)
async def known_handler(request: Request, error: Known):
    note("handler of Known", error)
    return JSONResponse({"known": str(error)}, 418)


@app.exception_handler(StarletteHTTPException)
async def http_handler(request: Request, error: StarletteHTTPException):
    note("handler of HTTPException", error.detail)
    return await http_exception_handler(request, error)


@app.exception_handler(ResponseValidationError)
def invalid_handler(request: Request, error: ResponseValidationError):
    note("handler of ResponseValidationError")
    return PlainTextResponse("invalid", 500)


async def watched() -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:
        note("watched saw", name_of(error))
        raise
    finally:
        note("end")


async def nothing() -> str:
    return "nothing"


def react(name: str, error: BaseException, how: str) -> None:
    """In an `except` block: what the dependency makes of an exception."""
    note(name, "saw", name_of(error))
    if how == "swallow":
        return
    if how == "http":
        raise HTTPException(409, f"turned by {name}") from error
    if how == "known":
        raise Known(f"turned by {name}") from error
    raise


def leave(name: str, how: str) -> None:
    note(name, "exit")
    if how == "http":
        raise HTTPException(410, f"exit of {name}")
    if how == "known":
        raise Known(f"exit of {name}")
    if how == "broken":
        raise Broken(f"exit of {name}")


def resource(
    name: str, kind: str, on_error: str = "", on_exit: str = "", inside: Callable[..., Any] = nothing, scope: Any = None
) -> Callable[..., Any]:
    """A dependency with `yield` that notes what it sees, and depends on another."""

    def sync_resource(inner: str = Depends(inside, scope=scope)) -> Iterator[str]:
        note(name, "enter", inner)
        try:
            yield name
            note(name, "resumed")
        except Exception as error:
            react(name, error, on_error)
        finally:
            leave(name, on_exit)

    async def async_resource(inner: str = Depends(inside, scope=scope)) -> AsyncIterator[str]:
        note(name, "enter", inner)
        try:
            yield name
            note(name, "resumed")
        except Exception as error:
            react(name, error, on_error)
        finally:
            leave(name, on_exit)

    return sync_resource if kind == "sync" else async_resource


def nested(*kinds: str) -> Callable[..., Any]:
    """Resources within each other, the last kind outermost."""
    made = nothing
    for number, kind in enumerate(kinds):
        made = resource(f"{kind}{number}", kind, inside=made)
    return made


#: The dependencies of a shape, in the order of the handler's parameters: callable and scope.
SHAPES: dict[str, list[tuple[Callable[..., Any], Any]]] = {
    "none": [],
    "plain": [(resource("a", "sync"), None), (resource("b", "async"), None)],
    "nested": [(nested("async", "sync", "async", "sync"), None)],
    "functions": [(resource("f", "sync"), "function"), (resource("g", "async"), "function")],
    "mixed": [
        (resource("f", "async"), "function"),
        (resource("a", "sync"), "request"),
        (resource("g", "sync"), "function"),
        (resource("b", "async"), None),
    ],
    "function-over-request": [(resource("f", "async", inside=resource("a", "sync"), scope="request"), "function")],
    "mixed-fails": [(resource("a", "async"), None), (resource("f", "sync", on_exit="broken"), "function")],
    "outer-sees": [(resource("a", "sync"), None), (resource("b", "async", on_exit="broken"), None)],
    "outer-turns": [(resource("a", "async", on_error="http"), None), (resource("b", "sync", on_exit="known"), None)],
    "inner-turns": [(resource("a", "sync"), None), (resource("b", "async", on_error="http"), None)],
    "both-turn": [(resource("a", "sync", "known"), None), (resource("b", "async", "http"), None)],
    "inner-swallows": [(resource("a", "async"), None), (resource("b", "sync", "swallow"), None)],
}
for kind in ("sync", "async"):
    for scope in ("function", "request"):
        for how in ("swallow", "http", "known"):
            SHAPES[f"{kind}-{scope}-on-error-{how}"] = [(resource("r", kind, on_error=how), scope)]
        for how in ("http", "known", "broken"):
            SHAPES[f"{kind}-{scope}-on-exit-{how}"] = [(resource("r", kind, on_exit=how), scope)]


async def pieces() -> AsyncIterator[str]:
    for number in range(3):
        note("piece", number)
        yield f"piece {number}\n"


def outcome(then: str, background: BackgroundTasks, values: object) -> Any:
    note("handler", values)
    background.add_task(note, "background")
    if then == "http":
        raise HTTPException(418, "from the handler")
    if then == "known":
        raise Known("from the handler")
    if then == "broken":
        raise Broken("from the handler")
    if then == "response":
        return PlainTextResponse("a response")
    if then == "stream":
        return StreamingResponse(pieces(), media_type="text/plain")
    if then == "background-fails":
        background.add_task(resource_fails)
        background.add_task(note, "never reached")
    return {"value": "x" if then == "invalid" else 1}


def resource_fails() -> None:
    note("background fails")
    raise Broken("in the background")


def register(shape: str, dependencies: list[tuple[Callable[..., Any], Any]]) -> None:
    depends = [Depends(call, scope=scope) for call, scope in dependencies] + [Depends(nothing)] * 4
    first, second, third, fourth = depends[:4]

    @app.get(f"/sync/{shape}", response_model=dict[str, int], dependencies=[Depends(watched)])
    def sync_route(background: BackgroundTasks, then: str, a=first, b=second, c=third, d=fourth):
        return outcome(then, background, [a, b, c, d])

    @app.get(f"/async/{shape}", response_model=dict[str, int], dependencies=[Depends(watched)])
    async def async_route(background: BackgroundTasks, then: str, a=first, b=second, c=third, d=fourth):
        return outcome(then, background, [a, b, c, d])


for shape, dependencies in SHAPES.items():
    register(shape, dependencies)
