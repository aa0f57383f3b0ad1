"""Routes of every lane whose handlers make spans of their own."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry import trace
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from bimetal import native

tracer = trace.get_tracer("shop")

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])


@app.get("/native/{name}")
@native("health")
def healthy():
    return {"status": "ok"}


@app.get("/sync/{name}")
def in_sync(name: str):
    with tracer.start_as_current_span("work"):
        return {"trace": f"{trace.get_current_span().get_span_context().trace_id:032x}"}


@app.get("/async/{name}")
async def in_async(name: str):
    with tracer.start_as_current_span("work"):
        return {"trace": f"{trace.get_current_span().get_span_context().trace_id:032x}"}


@app.get("/broken")
def broken():
    raise RuntimeError("broken")


app.router.routes.append(Mount("/asgi", PlainTextResponse("whole")))


async def bare(scope, receive, send):
    """An application that knows of no telemetry."""
    if scope["type"] == "http":
        await PlainTextResponse("bare")(scope, receive, send)
