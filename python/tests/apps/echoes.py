"""Handlers that give back what they were given, by every way a handler has."""

import asyncio
import contextvars
import time

from fastapi import FastAPI

app = FastAPI()

nonce_of_request: contextvars.ContextVar[str] = contextvars.ContextVar("nonce_of_request")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/def/{nonce}")
def plain(nonce: str) -> str:
    nonce_of_request.set(nonce)
    return nonce_of_request.get()


@app.get("/blocks/{nonce}")
def blocks(nonce: str) -> str:
    nonce_of_request.set(nonce)
    time.sleep(0.0005)
    return nonce_of_request.get()


@app.get("/async/{nonce}")
async def at_once(nonce: str) -> str:
    nonce_of_request.set(nonce)
    return nonce_of_request.get()


@app.get("/waits/{nonce}")
async def waits(nonce: str) -> str:
    nonce_of_request.set(nonce)
    await asyncio.sleep(0)
    return nonce_of_request.get()
