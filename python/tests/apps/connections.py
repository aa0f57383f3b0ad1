"""Handlers for tests of what happens on one connection."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/n/{n}")
def number(n: int):
    return n


@app.get("/a/{n}")
async def async_number(n: int):
    return n


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type="application/octet-stream")


@app.post("/ignore")
def ignore():
    return "ignored"


@app.get("/close")
async def close():
    return Response("bye", headers={"Connection": "close"})


@app.api_route("/empty", methods=["GET", "HEAD"])
def empty():
    return Response(status_code=204)


@app.get("/headers")
def headers():
    response = Response("x")
    for i in range(50):
        response.headers[f"X-{i}"] = "v" * i
    response.headers["x-latin"] = "caf\xe9"
    return response
