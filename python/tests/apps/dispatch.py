"""Middleware with `dispatch(request, call_next)`: what it does is named in a header of the request.

`one` has one function, told by `X-Do`; `three` has `Inner`, `middle` and `Outer`, told by `X-Inner`, `X-Middle`, `X-Outer`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from behind import gate, routes, variable
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from journal import Broken, Known, name_of, note
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware

CallNext = Callable[[Request], Awaitable[Response]]


async def behave(name: str, what: str, request: Request, call_next: CallNext) -> Any:
    note(name, "before")
    action = ACTIONS.get(what)
    if action is None:
        response = await call_next(request)
    else:
        response = await action(name, request, call_next)
    note(name, "after", getattr(response, "status_code", response))
    return response


ACTIONS: dict[str, Callable[[str, Request, CallNext], Awaitable[Any]]] = {}


def action(function: Callable[[str, Request, CallNext], Awaitable[Any]]) -> Any:
    ACTIONS[function.__name__.replace("_", "-")] = function
    return function


# The response of `call_next`: changed, taken apart, replaced.


@action
async def header(name: str, request: Request, call_next: CallNext):
    response = await call_next(request)
    response.headers.append("X-Layer", name)
    response.headers["X-Length"] = str(response.headers.get("content-length"))
    del response.headers["x-handler"]
    response.set_cookie("layer", name)
    return response


@action
async def status(name: str, request: Request, call_next: CallNext):
    response = await call_next(request)
    response.status_code = 299
    return response


@action
async def facts(name: str, request: Request, call_next: CallNext):
    response = await call_next(request)
    note(response.status_code, response.media_type, response.background, sorted(response.headers.items()))
    note(hasattr(response, "body"), hasattr(response, "body_iterator"), isinstance(response, StreamingResponse))
    note(type(response.raw_headers).__name__, isinstance(response, Response))
    return response


@action
async def read(name: str, request: Request, call_next: CallNext):
    response: Any = await call_next(request)
    body = b"".join([piece async for piece in response.body_iterator])
    note("read", len(body))
    return Response(body.swapcase(), response.status_code, {"X-Read": str(len(body))}, response.media_type)


@action
async def rebuilt(name: str, request: Request, call_next: CallNext):
    response: Any = await call_next(request)
    body = b""
    async for piece in response.body_iterator:
        body += piece
    return Response(body, response.status_code, dict(response.headers), response.media_type)


@action
async def wrapped(name: str, request: Request, call_next: CallNext):
    response: Any = await call_next(request)
    original = response.body_iterator

    async def pieces() -> AsyncIterator[bytes]:
        yield b"<"
        async for piece in original:
            yield piece.swapcase()
        yield b">"

    response.body_iterator = pieces()
    if "content-length" in response.headers:
        response.headers["content-length"] = str(int(response.headers["content-length"]) + 2)
    return response


@action
async def restored(name: str, request: Request, call_next: CallNext):
    """Reads the body for a log and puts it back, as many do."""
    response: Any = await call_next(request)
    pieces = [piece async for piece in response.body_iterator]

    async def again() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    response.body_iterator = again()
    return response


@action
async def drained(name: str, request: Request, call_next: CallNext):
    response: Any = await call_next(request)
    async for _ in response.body_iterator:
        pass
    del response.headers["content-length"]
    return response


@action
async def breaks_the_body(name: str, request: Request, call_next: CallNext):
    response: Any = await call_next(request)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one piece"
        raise Broken("in the body iterator")

    response.body_iterator = pieces()
    del response.headers["content-length"]
    return response


@action
async def replaced(name: str, request: Request, call_next: CallNext):
    await call_next(request)
    return JSONResponse({"by": name}, 203, background=BackgroundTask(note, "background of the replacement"))


@action
async def background(name: str, request: Request, call_next: CallNext):
    response = await call_next(request)
    note("its background", response.background)
    response.background = BackgroundTask(note, "background of", name)
    return response


@action
async def none(name: str, request: Request, call_next: CallNext):
    await call_next(request)
    return


@action
async def text(name: str, request: Request, call_next: CallNext):
    return "text"


# `call_next` is called otherwise than once, or not by `dispatch` itself.


@action
async def short(name: str, request: Request, call_next: CallNext):
    return PlainTextResponse(
        f"cut short by {name}", 203, background=BackgroundTask(note, "background of the short cut")
    )


@action
async def short_stream(name: str, request: Request, call_next: CallNext):
    return StreamingResponse(iter(["cut ", "short"]), media_type="text/plain")


@action
async def redirect(name: str, request: Request, call_next: CallNext):
    return RedirectResponse(request.url_for("target").include_query_params(of=name), 303)


@action
async def twice(name: str, request: Request, call_next: CallNext):
    first: Any = await call_next(request)
    body = b"".join([piece async for piece in first.body_iterator])
    note("first", first.status_code, len(body))
    return await call_next(request)


@action
async def in_a_task(name: str, request: Request, call_next: CallNext):
    return await asyncio.ensure_future(call_next(request))


@action
async def in_time(name: str, request: Request, call_next: CallNext):
    with anyio.fail_after(3600):
        return await asyncio.wait_for(call_next(request), 3600)


# Exceptions.


@action
async def catches(name: str, request: Request, call_next: CallNext):
    try:
        return await call_next(request)
    except Exception as error:
        # Not its cause: where Starlette's task group has been around it, that is the group's.
        note(name, "caught", name_of(error))
        return PlainTextResponse(f"{name} caught {name_of(error)}", 502)


@action
async def reraises(name: str, request: Request, call_next: CallNext):
    try:
        return await call_next(request)
    except Broken as error:
        raise Known("from a broken one") from error
    finally:
        note(name, "finally")


@action
async def raises_before(name: str, request: Request, call_next: CallNext):
    raise Broken(f"before, in {name}")


@action
async def raises_after(name: str, request: Request, call_next: CallNext):
    await call_next(request)
    raise Broken(f"after, in {name}")


@action
async def http_before(name: str, request: Request, call_next: CallNext):
    raise HTTPException(409, f"before, in {name}")


@action
async def http_after(name: str, request: Request, call_next: CallNext):
    await call_next(request)
    raise HTTPException(409, f"after, in {name}")


@action
async def known_before(name: str, request: Request, call_next: CallNext):
    raise Known(f"before, in {name}")


# State and context variables.


@action
async def state(name: str, request: Request, call_next: CallNext):
    request.state.mark = name
    variable.set(name)
    response = await call_next(request)
    note("mark", request.state.mark, "late", getattr(request.state, "late", None), "variable", variable.get())
    return response


@action
async def token(name: str, request: Request, call_next: CallNext):
    was: contextvars.Token[str] = variable.set(name)
    try:
        return await call_next(request)
    finally:
        variable.reset(was)


counted = {"requests": 0}


@action
async def counts(name: str, request: Request, call_next: CallNext):
    counted["requests"] += 1
    response = await call_next(request)
    response.headers["X-Count"] = str(counted["requests"])
    return response


# The request: read or rewritten first.


@action
async def body(name: str, request: Request, call_next: CallNext):
    note("body", await request.body() == await request.body(), len(await request.body()))
    return await call_next(request)


@action
async def stream(name: str, request: Request, call_next: CallNext):
    note("streamed", sum([len(piece) async for piece in request.stream()]))
    return await call_next(request)


@action
async def some_of_the_stream(name: str, request: Request, call_next: CallNext):
    async for piece in request.stream():
        note("some", bool(piece))
        break
    return await call_next(request)


@action
async def json(name: str, request: Request, call_next: CallNext):
    try:
        note("json", await request.json())
    except ValueError:
        note("no json")
    return await call_next(request)


@action
async def form(name: str, request: Request, call_next: CallNext):
    form = await request.form()
    note("form", [(key, getattr(value, "filename", value)) for key, value in form.multi_items()])
    return await call_next(request)


@action
async def body_after(name: str, request: Request, call_next: CallNext):
    response = await call_next(request)
    try:
        note("body afterwards", len(await request.body()))
    except RuntimeError as error:
        note(name_of(error))
    return response


@action
async def path(name: str, request: Request, call_next: CallNext):
    request.scope["path"] = "/target"
    request.scope["raw_path"] = b"/target"
    response = await call_next(request)
    note("routed to", request.scope["path"], getattr(request.scope.get("route"), "path", None))
    return response


@action
async def missing_path(name: str, request: Request, call_next: CallNext):
    request.scope["path"] = "/nowhere"
    return await call_next(request)


@action
async def method(name: str, request: Request, call_next: CallNext):
    request.scope["method"] = "POST" if request.method == "GET" else "GET"
    return await call_next(request)


@action
async def query(name: str, request: Request, call_next: CallNext):
    request.scope["query_string"] = b"n=77&added=" + name.encode()
    return await call_next(request)


@action
async def headers(name: str, request: Request, call_next: CallNext):
    request.scope["headers"] = [*request.scope["headers"], (b"x-added", name.encode()), (b"cookie", b"added=yes")]
    return await call_next(request)


@action
async def root_path(name: str, request: Request, call_next: CallNext):
    request.scope["root_path"] = "/root"
    return await call_next(request)


@action
async def other_request(name: str, request: Request, call_next: CallNext):
    """A copy of the scope changes nothing: `call_next` goes on with the scope it was made for."""
    return await call_next(Request({**request.scope, "path": "/target"}, request.receive))


@action
async def other_receive(name: str, request: Request, call_next: CallNext):
    """Nor does a request with a body of its own."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"n": 5}', "more_body": False}

    return await call_next(Request(request.scope, receive))


@action
async def disconnected(name: str, request: Request, call_next: CallNext):
    note("disconnected", await request.is_disconnected())
    return await call_next(request)


@action
async def gives_up(name: str, request: Request, call_next: CallNext):
    """Answers without waiting for the handler, which goes on."""
    with anyio.move_on_after(0.01):
        return await call_next(request)
    return PlainTextResponse("gave up", 504)


@action
async def gives_up_with_asyncio(name: str, request: Request, call_next: CallNext):
    try:
        return await asyncio.wait_for(call_next(request), 0.01)
    except asyncio.TimeoutError:
        return PlainTextResponse("gave up", 504)


one = routes(FastAPI())


@one.middleware("http")
async def only(request: Request, call_next: CallNext):
    return await behave("only", request.headers.get("x-do", ""), request, call_next)


class Inner(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: CallNext):
        return await behave("inner", request.headers.get("x-inner", ""), request, call_next)


class Outer(BaseHTTPMiddleware):
    def __init__(self, app: Any, name: str, header: str = "x-outer") -> None:
        super().__init__(app)
        self.name, self.header = name, header

    async def dispatch(self, request: Request, call_next: CallNext):
        return await behave(self.name, request.headers.get(self.header, ""), request, call_next)


three = routes(FastAPI())
three.add_middleware(Inner)


@three.middleware("http")
async def middle(request: Request, call_next: CallNext):
    return await behave("middle", request.headers.get("x-middle", ""), request, call_next)


three.add_middleware(Outer, name="outer")

__all__ = ["gate", "one", "three"]
