"""Echoes what it gets, on a compiled lane and through ASGI, and counts what it should never get."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

app = FastAPI()
smuggled = 0


async def echo(request: Request) -> JSONResponse:
    body = (await request.body()).decode("latin-1")
    return JSONResponse({"method": request.method, "query": request.url.query, "body": body})


@app.get("/smuggled")
async def count() -> str:
    global smuggled
    smuggled += 1
    return "smuggled"


@app.get("/count")
async def counted() -> int:
    return smuggled


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE", "REPORT", "SEARCH", "M-SEARCH", "MERGE"]
app.api_route("/{path:path}", methods=METHODS)(echo)


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The same without compiled routes."""
    await app(scope, receive, send)
