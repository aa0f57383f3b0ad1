"""Dependencies with `yield` that hold AnyIO's task groups and cancel scopes around the handler, which shares their task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from journal import Broken, name_of, note

app = FastAPI()
#: Longer than any test: whoever sleeps is cancelled.
FOREVER = 3600


@app.exception_handler(TimeoutError)
async def timed_out(request: Request, error: TimeoutError):
    note("handler of TimeoutError")
    return JSONResponse({"detail": "timed out"}, 504)


async def watched() -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:
        note("watched saw", name_of(error))
        raise
    finally:
        note("end")


def route(path: str, **options: Any):
    return app.get(path, dependencies=[Depends(watched)], **options)


async def group() -> AsyncIterator[TaskGroup]:
    """A task group around the handler, closed after the response."""
    async with anyio.create_task_group() as tasks:
        yield tasks
        note("group waits")
    note("group left")


async def cancelled_group() -> AsyncIterator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()
    note("group cancelled")


async def child(started: anyio.Event, proceed: anyio.Event) -> None:
    note("child starts")
    started.set()
    await proceed.wait()
    note("child ends")


@route("/group")
async def with_group(tasks: TaskGroup = Depends(group)):
    started, proceed = anyio.Event(), anyio.Event()
    tasks.start_soon(child, started, proceed)
    await started.wait()
    note("handler")
    proceed.set()
    return "returned before its child"


@route("/group/function")
async def with_function_group(tasks: TaskGroup = Depends(group, scope="function")):
    started, proceed = anyio.Event(), anyio.Event()
    tasks.start_soon(child, started, proceed)
    note("handler")
    proceed.set()
    return "returned after its child"


@route("/group/sync")
def with_group_in_a_sync_handler(tasks: TaskGroup = Depends(group)):
    note("handler")
    return type(tasks).__name__


@route("/group/stream")
async def with_group_and_stream(tasks: TaskGroup = Depends(group)):
    """The child of the dependency's group makes the pieces of the body."""
    send, receive = anyio.create_memory_object_stream[str]()

    async def produce() -> None:
        async with send:
            for number in range(3):
                await send.send(f"{number}\n")
        note("produced")

    tasks.start_soon(produce)
    return StreamingResponse(receive, media_type="text/plain")


@route("/group/cancelled")
async def with_cancelled_group(tasks: TaskGroup = Depends(cancelled_group)):
    tasks.start_soon(anyio.sleep, FOREVER)
    return "its child is cancelled"


async def fails() -> None:
    raise Broken("in a child")


@route("/group/child-fails")
async def with_failing_child(tasks: TaskGroup = Depends(group)):
    tasks.start_soon(fails)
    await anyio.sleep(FOREVER)


@route("/group/child-fails-later")
async def with_child_failing_after_the_response(tasks: TaskGroup = Depends(group)):
    tasks.start_soon(fails)
    return "sent"


@route("/group/handler-fails")
async def with_failing_handler(tasks: TaskGroup = Depends(group)):
    tasks.start_soon(anyio.sleep, FOREVER)
    raise HTTPException(409, "in a group")


async def move_on() -> AsyncIterator[anyio.CancelScope]:
    with anyio.CancelScope() as scope:
        yield scope
    note("moved on", scope.cancelled_caught)


async def time_limit() -> AsyncIterator[None]:
    with anyio.fail_after(0.01):
        yield
    note("in time")


async def expired() -> AsyncIterator[None]:
    with anyio.CancelScope() as scope:
        scope.cancel()
        yield
    note("expired", scope.cancelled_caught)


@route("/scope")
async def with_scope(scope: anyio.CancelScope = Depends(move_on)):
    await anyio.sleep(0)
    return scope.cancel_called


@route("/scope/cancelled")
async def with_cancelled_scope(scope: anyio.CancelScope = Depends(move_on)):
    scope.cancel()
    note("cancelled")
    await anyio.sleep(FOREVER)
    note("never reached")


@route("/scope/function")
async def with_cancelled_function_scope(scope: anyio.CancelScope = Depends(move_on, scope="function")):
    scope.cancel()
    await anyio.sleep(FOREVER)


@route("/scope/no-checkpoint")
async def with_scope_cancelled_at_the_end(scope: anyio.CancelScope = Depends(move_on)):
    scope.cancel()
    return "no checkpoint after this"


@route("/limit")
async def with_time_limit(_: None = Depends(time_limit)):
    await anyio.sleep(FOREVER)


@route("/limit/function")
async def with_function_time_limit(_: None = Depends(time_limit, scope="function")):
    await anyio.sleep(FOREVER)


@route("/expired/async")
async def async_expired(_: None = Depends(expired)):
    note("handler starts")
    await anyio.sleep(0)
    note("never reached")


@route("/expired/sync")
def sync_expired(_: None = Depends(expired)):
    note("never reached")


async def first_task() -> AsyncIterator[asyncio.Task[Any] | None]:
    task = asyncio.current_task()
    yield task
    note("same task at exit:", asyncio.current_task() is task)


async def plain_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task()


@route("/task")
async def in_one_task(
    first: Any = Depends(first_task),
    second: Any = Depends(plain_task),
    third: Any = Depends(first_task, use_cache=False, scope="function"),
):
    return [asyncio.current_task() is task for task in (first, second, third)]


@contextmanager
def manager(name: str) -> Iterator[str]:
    note("manager enter", name)
    try:
        yield name
    finally:
        note("manager exit", name)


async def uses_a_manager(name: str = "m") -> AsyncIterator[str]:
    with manager(name) as value:
        yield value


@route("/cancels-itself")
async def cancels_itself(_: str = Depends(uses_a_manager)):
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        note("cancelled")
    return "went on"
