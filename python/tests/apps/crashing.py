"""Routes that end their process, on each lane. The native ones are of `fixtures/crash.c`."""

from __future__ import annotations

import asyncio
import ctypes
import os

from fastapi import Depends
from starlette.types import Receive, Scope, Send

from bimetal import Bimetal

app = Bimetal()


def crash() -> None:
    ctypes.string_at(0)


@app.get("/pid")
async def pid():
    return os.getpid()


@app.get("/native/now", handler_type="native", native="crash.now")
def native_now(): ...


@app.get("/native/aborts", handler_type="native", native="crash.aborts")
def native_aborts(): ...


@app.get("/native/blocking", handler_type="native", native="crash.blocking")
def native_blocking(): ...


@app.get("/native/hangs", handler_type="native", native="crash.hangs")
def native_hangs(): ...


@app.get("/native/later", handler_type="native", native="crash.later")
def native_later(): ...


@app.get("/sync/{number}")
def sync(number: int):
    crash()


@app.get("/async")
async def eager():
    crash()


@app.get("/async/later")
async def later():
    await asyncio.sleep(0.01)
    crash()


@app.get("/depends")
async def depends(crashed: None = Depends(crash)):
    await asyncio.sleep(0)


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.01)
    crash()


app.mount("/mounted", mounted)
