"""An application's own stack, without the middleware that the server's edge does."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimetal._core import BimetalError, EdgeLayer
from bimetal.compile.edge import Recognised

#: Tells the server that what is sent from here on is the answer to an exception nobody handled.
UNHANDLED = {"type": "bimetal.unhandled"}


class EntryPoint:
    """The ASGI application that a server calls for a FastAPI application.

    Lifespans go to the application itself. Requests go around what the edge has done: through the very instances that
    the application has built, from the first one that is not done at the edge.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._found = Recognised()
        self._stack: ASGIApp | None = None

    def use(self, found: Recognised) -> None:
        """From now on the edge does the middleware in `found.done`."""
        self._found = found
        self._stack = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The coroutine that answers."""
        if not self._found.done or scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        return self._inside(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As FastAPI and Starlette begin.
        if self.app.root_path:
            scope["root_path"] = self.app.root_path
        scope["app"] = self.app
        if self._stack is None:
            self._stack = self._without_edge()
        telemetry: Any = getattr(self.app, "_native_telemetry", None)
        if telemetry is None or "fastapi.telemetry" in scope or not telemetry.enabled():
            await self._stack(scope, receive, send)
            return
        from fastapi.telemetry._asgi import _legacy_otel

        legacy = _legacy_otel(self.app.middleware_stack)
        await telemetry(app=self._stack, scope=scope, receive=receive, send=send, legacy_otel=legacy)

    def _without_edge(self) -> ASGIApp:
        if self.app.middleware_stack is None:
            self.app.middleware_stack = self.app.build_middleware_stack()
        done = [middleware.cls for middleware in self._found.done]
        return _cut(self.app.middleware_stack, done, holding(self._found))


class InsideEdge:
    """Stands where the edge's middleware stood, and tells the server what it cannot see from outside.

    `ServerErrorMiddleware` answers an exception outside all other middleware: its answer must not pass the edge's
    layers. `GZipMiddleware` and its like keep the head of a response back until its body begins: when the application
    fails between the two, there is still time for a 500.
    """

    def __init__(self, app: ASGIApp, layers: Sequence[EdgeLayer] = ()) -> None:
        self.app = app
        self.layers = layers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run what is inside."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, Held(send, self.layers) if self.layers else send)
        except Exception:
            await send(UNHANDLED)
            raise


def holding(found: Recognised) -> list[EdgeLayer]:
    """The layers at the edge that keep the head of a response back until its body begins."""
    return [layer for layer in found.layers if layer.is_about_bodies]


class Held:
    """A `send` that keeps the head of a response back where one of `layers` does."""

    def __init__(self, send: Send, layers: Sequence[EdgeLayer]) -> None:
        self.send = send
        self.layers = layers
        self.start: Message | None = None

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            headers = message.get("headers", ())
            if any(layer.holds(message["status"], headers) for layer in self.layers):
                self.start = message
                return
        elif kind == "http.response.body" and self.start is not None:
            start, self.start = self.start, None
            await self.send(start)
        await self.send(message)


def _cut(layer: Any, done: list[Any], layers: Sequence[EdgeLayer]) -> ASGIApp:
    """The stack from `layer` inwards, without the middleware `done`. What is outside them is copied."""
    if not done:
        return InsideEdge(layer, layers)
    if type(layer) is done[0]:
        return _cut(layer.app, done[1:], layers)
    if type(layer) is not ServerErrorMiddleware and not type(layer).__module__.startswith("fastapi."):
        raise BimetalError(
            f"the application's middleware has changed since the server has read it: {type(layer).__name__} is in "
            f"front of {done[0].__name__}; add middleware before the server starts"
        )
    outside = copy.copy(layer)
    outside.app = _cut(layer.app, done, layers)
    return outside  # type: ignore[no-any-return]
