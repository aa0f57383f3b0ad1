"""Context variables and per-request objects: who sets them, who sees them.

`/{sync|async}/{setter}`: one party sets the variable to the nonce of the request; all others note what they see.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from journal import Known, note

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
app = FastAPI()


def see(who: str) -> str:
    note(who, "sees", variable.get())
    return variable.get()


async def see_async(who: str) -> None:
    see(who)


def install(app: FastAPI) -> None:
    @app.exception_handler(Known)
    async def known_handler(request: Request, error: Known):
        see("async exception handler")
        return JSONResponse("known", 418)

    @app.exception_handler(LookupError)
    def lookup_handler(request: Request, error: LookupError):
        see("sync exception handler")
        return JSONResponse("lookup", 410)

    for name, setter in SETTERS.items():
        register(app, name, setter)


async def early() -> AsyncIterator[None]:
    see("early async enter")
    try:
        yield
    finally:
        see("early async exit")
        note("end")


def early_sync() -> Iterator[None]:
    see("early sync enter")
    try:
        yield
    finally:
        see("early sync exit")


async def late() -> AsyncIterator[None]:
    see("late async enter")
    try:
        yield
    finally:
        see("late async exit")


def late_sync() -> Iterator[None]:
    see("late sync enter")
    try:
        yield
    finally:
        see("late sync exit")


async def late_function() -> AsyncIterator[None]:
    see("late function enter")
    try:
        yield
    finally:
        see("late function exit")


def sets_sync(nonce: str = "n") -> None:
    variable.set(nonce)


async def sets_async(nonce: str = "n") -> None:
    variable.set(nonce)


class SetsInInit:
    def __init__(self, nonce: str = "n") -> None:
        variable.set(nonce)


class SetsInCall:
    async def __call__(self, nonce: str = "n") -> None:
        variable.set(nonce)


def sets_sync_generator(nonce: str = "n") -> Iterator[None]:
    variable.set(nonce)
    yield
    see("setter exit")


async def sets_async_generator(nonce: str = "n") -> AsyncIterator[None]:
    variable.set(nonce)
    yield
    see("setter exit")


def reset(token: contextvars.Token[str]) -> None:
    try:
        variable.reset(token)
        note("reset")
    except ValueError:
        note("was set in another context")


def resets_sync(nonce: str = "n") -> Iterator[None]:
    token = variable.set(nonce)
    yield
    reset(token)


async def resets_async(nonce: str = "n") -> AsyncIterator[None]:
    token = variable.set(nonce)
    yield
    reset(token)


async def sets_in_a_child(nonce: str = "n") -> None:
    async def child() -> None:
        variable.set(nonce)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child)


async def sets_in_a_thread(nonce: str = "n") -> None:
    await anyio.to_thread.run_sync(variable.set, nonce)


async def nested(_: None = Depends(sets_async)) -> None:
    see("over the setter")


#: Who sets the variable; None: nobody before the handler.
SETTERS: dict[str, Callable[..., Any] | None] = {
    "none": None,
    "handler": None,
    "background": None,
    "sync": sets_sync,
    "async": sets_async,
    "init": SetsInInit,
    "call": SetsInCall(),
    "sync-generator": sets_sync_generator,
    "async-generator": sets_async_generator,
    "resets-sync": resets_sync,
    "resets-async": resets_async,
    "child": sets_in_a_child,
    "thread": sets_in_a_thread,
    "nested": nested,
}


async def nobody() -> None:
    return None


async def async_pieces() -> AsyncIterator[str]:
    for _ in range(2):
        yield see("async piece") + "\n"


def sync_pieces() -> Iterator[str]:
    for _ in range(2):
        yield see("sync piece") + "\n"


def answer(then: str, background: BackgroundTasks, setter: str, nonce: str) -> Any:
    seen = see("handler")
    if setter == "handler":
        variable.set(nonce)
    if setter == "background":
        background.add_task(variable.set, nonce)
        background.add_task(sets_async, nonce)
    background.add_task(see, "sync background")
    background.add_task(see_async, "async background")
    if then == "known":
        raise Known("known")
    if then == "lookup":
        raise LookupError("lookup")
    if then == "stream":
        return StreamingResponse(async_pieces(), background=background)
    if then == "sync-stream":
        return StreamingResponse(sync_pieces(), background=background)
    return [seen, variable.get()]


def register(app: FastAPI, name: str, setter: Callable[..., Any] | None) -> None:
    # In this order: what is before the setter, the setter, what is after it.
    order = [early, early_sync, setter or nobody, late, late_sync]
    depends = [Depends(call) for call in order] + [Depends(late_function, scope="function")]

    @app.get(f"/sync/{name}", dependencies=depends)
    def sync_route(background: BackgroundTasks, then: str = "", nonce: str = "n"):
        return answer(then, background, name, nonce)

    @app.get(f"/async/{name}", dependencies=depends)
    async def async_route(background: BackgroundTasks, then: str = "", nonce: str = "n"):
        return answer(then, background, name, nonce)


install(app)

# Requests that are inside at the same time, each with objects of its own.

barriers: dict[str, threading.Barrier] = {}
events: dict[str, anyio.Event] = {}
inside: dict[str, int] = {}
lock = threading.Lock()
BOUND = 60


def mark(request: Request, response: Response, background: BackgroundTasks, nonce: str = Query()) -> dict[str, str]:
    """Leaves the nonce in everything that belongs to one request."""
    request.state.nonce = nonce
    response.headers["X-Nonce"] = nonce
    response.set_cookie("nonce", nonce)
    background.add_task(note, "background of", nonce)
    return {"nonce": nonce}


async def mark_context(marked: dict[str, str] = Depends(mark)) -> AsyncIterator[dict[str, str]]:
    token = variable.set(marked["nonce"])
    try:
        yield marked
    finally:
        note("exit of", marked["nonce"], "sees", variable.get())
        variable.reset(token)


def found(request: Request, response: Response, marked: dict[str, str]) -> list[str]:
    return [
        marked["nonce"],
        request.state.nonce,
        response.headers["X-Nonce"],
        variable.get(),
        request.query_params["nonce"],
    ]


def refuse_some(nonce: str, refuse: bool) -> None:
    if refuse:
        raise HTTPException(409, f"refused {nonce}", headers={"X-Refused": nonce})


@app.get("/meet/sync/{name}/{parties}")
def sync_meeting(
    name: str,
    parties: int,
    request: Request,
    response: Response,
    nonce: str,
    refuse: bool = False,
    marked=Depends(mark_context),
):
    with lock:
        barrier = barriers.setdefault(name, threading.Barrier(parties))
    before = found(request, response, marked)
    barrier.wait(BOUND)
    refuse_some(nonce, refuse)
    return [before, found(request, response, marked)]


@app.get("/meet/async/{name}/{parties}")
async def async_meeting(
    name: str,
    parties: int,
    request: Request,
    response: Response,
    nonce: str,
    refuse: bool = False,
    marked=Depends(mark_context),
):
    inside[name] = inside.get(name, 0) + 1
    event = events.setdefault(name, anyio.Event())
    before = found(request, response, marked)
    if inside[name] == parties:
        event.set()
    with anyio.fail_after(BOUND):
        await event.wait()
    refuse_some(nonce, refuse)
    return [before, found(request, response, marked)]


# The same under a middleware that sets the variable itself.

layered = FastAPI()
install(layered)


@layered.middleware("http")
async def around(request: Request, call_next):
    see("middleware before")
    variable.set("middleware")
    request.state.mark = "middleware"
    response = await call_next(request)
    see("middleware after")
    variable.set("middleware after")
    return response
