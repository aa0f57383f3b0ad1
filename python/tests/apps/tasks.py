"""Handlers that use tasks, time limits and cancellation: asyncio's and AnyIO's."""

from __future__ import annotations

import asyncio
import inspect

import anyio
from fastapi import FastAPI

app = FastAPI()


@app.get("/move-on")
async def move_on():
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep(60)
    return {"cancelled": scope.cancelled_caught}


@app.get("/wait-for")
async def wait_for():
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except asyncio.TimeoutError as error:
        return {"error": type(error).__name__}


@app.get("/group")
async def group():
    order = []
    turns = {number: anyio.Event() for number in (1, 2, 3, 4)}

    async def child(number: int) -> None:
        await turns[number].wait()
        order.append(number)
        turns[number + 1].set()

    async with anyio.create_task_group() as tasks:
        for number in (3, 1, 2):
            tasks.start_soon(child, number)
        turns[1].set()
    return order


@app.get("/group-fails")
async def group_fails():
    async def fails() -> None:
        raise ValueError("child")

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            await anyio.sleep(60)
    except BaseException as error:
        return {"error": type(error).__name__}


@app.get("/gather")
async def gather():
    return await asyncio.gather(*(asyncio.sleep(0.001, result=number) for number in range(5)))


@app.get("/cancels-itself")
async def cancels_itself():
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return {"cancelled": True}


@app.get("/state")
async def state():
    task = asyncio.current_task()
    assert task is not None
    return {
        "state": inspect.getcoroutinestate(task.get_coro()),
        "is coroutine": asyncio.iscoroutine(task.get_coro()),
        "in all tasks": task in asyncio.all_tasks(),
    }


@app.get("/thread")
async def thread():
    return {"from": await anyio.to_thread.run_sync(lambda: "thread")}


@app.get("/shielded")
async def shielded():
    with anyio.move_on_after(0.01), anyio.CancelScope(shield=True):
        await anyio.sleep(0.02)
        return {"finished": True}
