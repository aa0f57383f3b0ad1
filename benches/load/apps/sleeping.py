"""Handlers that sleep, `def` and `async def`, in FastAPI: LOAD_SLEEP has the seconds."""

import asyncio
import contextlib
import os
import time

import occupied
from fastapi import FastAPI

SECONDS = float(os.environ["LOAD_SLEEP"])


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    occupied.started()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/sleep")
def sleep():
    time.sleep(SECONDS)
    return {"slept": SECONDS}


@app.get("/a/sleep")
async def a_sleep():
    await asyncio.sleep(SECONDS)
    return {"slept": SECONDS}
