"""A layer of the edge as ASGI middleware: for places that the edge does not reach, and for other servers."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimetal._core import EdgeLayer, EdgeStream

#: Whole bodies larger than this are completed in a thread, in bytes, and compressed while they are sent.
_AT_ONCE = 64 * 1024
#: How much of one is compressed before the event loop has its turn, in bytes.
_SLICE = 256 * 1024


class LayeredMiddleware:
    """Completes the responses of `app` by `layer`. WebSockets and lifespans pass.

    Whole responses are completed as such: their head waits for the first part of the body, which says whether it is the
    only one. A stream is completed part by part.
    """

    def __init__(self, app: ASGIApp, layer: EdgeLayer) -> None:
        self.app = app
        self.layer = layer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run what is inside."""
        if scope["type"] == "http":
            # What is inside may change its scope.
            send = _Completing(self.layer, dict(scope), send)
        await self.app(scope, receive, send)


class _Completing:
    """A `send` that has each response completed."""

    def __init__(self, layer: EdgeLayer, scope: dict[str, Any], send: Send) -> None:
        self.layer = layer
        self.scope = scope
        self.send = send
        #: The head, while it waits.
        self.start: Message | None = None
        self.stream: EdgeStream | None = None

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self.layer.holds(message["status"], message.get("headers", ())):
                self.start = message
            else:
                await self._begin(message)
            return
        start, self.start = self.start, None
        if kind == "http.response.body":
            body, more = bytes(message.get("body", b"")), message.get("more_body", False)
            if start is not None and not more:
                await self._whole(start, message, body)
                return
            if start is not None:
                await self._begin(start)
            if self.stream is not None:
                message = {**message, "body": self.stream.part(body, more)}
        elif start is not None:
            # Whatever follows is no body that could be completed.
            await self.send(start)
        await self.send(message)

    async def _begin(self, start: Message) -> None:
        headers, self.stream = self.layer.stream(self.scope, start["status"], start.get("headers", ()))
        await self.send({**start, "headers": headers})

    async def _whole(self, start: Message, message: Message, body: bytes) -> None:
        if len(body) > _AT_ONCE and self.layer.kind == "compression":
            await self._large(start, message, body)
            return
        given = (self.scope, start["status"], start.get("headers", ()), body)
        if len(body) > _AT_ONCE:
            status, headers, completed = await anyio.to_thread.run_sync(self.layer.after, *given)
        else:
            status, headers, completed = self.layer.after(*given)
        await self.send({**start, "status": status, "headers": headers})
        await self.send({**message, "body": completed})

    async def _large(self, start: Message, message: Message, body: bytes) -> None:
        """As the edge has it: without a length, and for whoever is outside of it a stream."""
        headers = list(start.get("headers", ()))
        if all(name.lower() != b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(body)).encode()))
        await self._begin({**start, "headers": headers})
        if self.stream is None:
            await self.send(message)
            return
        for place in range(0, len(body), _SLICE):
            piece = await anyio.to_thread.run_sync(self.stream.part, body[place : place + _SLICE], True)
            await self.send({**message, "body": piece, "more_body": True})
        await self.send({**message, "body": self.stream.part(b"", False)})
