"""Handlers on worker threads that reach back to the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio.from_thread
from fastapi import FastAPI

app = FastAPI()
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


@app.get("/run/{number}")
def run(number: int):
    return {"double": anyio.from_thread.run(double, number)}


@app.get("/run-sync")
def run_sync():
    return {"threads differ": anyio.from_thread.run_sync(threading.get_ident) != threading.get_ident()}


@app.get("/no-loop")
def no_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        return {"error": str(error)}


@app.get("/variable/{value}")
def set_variable(value: str):
    before = variable.get("unset")
    variable.set(value)
    return {"before": before, "after": variable.get()}
