"""One request of a path operation: where it runs, its `Request` object, and how its response is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from starlette.background import BackgroundTasks

    from bimetal._core import RouteCall
    from bimetal.lane.operation import Site

#: Whether instances of a response class send what they hold and do nothing else, by class.
_plain_classes: dict[type, bool] = {}


class Encoded:
    """A result that is JSON bytes already, held by the request's `RouteCall`."""

    __slots__ = ("status_code",)

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class _EnterLoop:
    """Awaited on a runner: the coroutine goes on on the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield None


_ENTER_LOOP = _EnterLoop()
_NO_ARGUMENTS: dict[str, Any] = {}


class Exchange:
    """What an operation knows of the request it answers."""

    __slots__ = (
        "_channel",
        "_request",
        "background",
        "call",
        "form",
        "on_loop",
        "receive_",
        "response",
        "scope_",
        "send_",
        "site",
        "stacks",
        "started",
        "whole",
    )

    def __init__(
        self,
        site: Site,
        call: RouteCall,
        scope: Scope | None = None,
        receive: Receive | None = None,
        send: Send | None = None,
    ) -> None:
        self.site = site
        self.call = call
        #: Whether the coroutine runs on the event loop; on a runner otherwise.
        self.on_loop = call.on_loop
        #: Whether nothing stands between the client and the operation: no middleware has a say in request or response.
        self.whole = scope is None
        #: What middleware around the operation gave, or what was made when it was first asked for.
        self.scope_ = scope
        self.receive_ = receive
        self.send_ = send
        #: Whether the response has begun.
        self.started = False
        self.form: FormData | None = None
        #: What dependencies and the handler share: their `Response` parameter and their `BackgroundTasks`.
        self.response: Response | None = None
        self.background: BackgroundTasks | None = None
        #: The generators that end after the response, and those that end before it.
        self.stacks: tuple[AsyncExitStack, AsyncExitStack] | None = None
        self._request: Request | None = None
        self._channel: Any = None

    @property
    def scope(self) -> Scope:
        """The request's ASGI scope, as it is within the application's router."""
        scope = self.scope_
        if scope is None:
            scope = self.scope_ = self.call.scope()
            observer = self.site.errors.observer
            if observer is not None:
                self.send_ = observer(scope, self.send)
            self.site.complete(scope)
            if self.stacks is not None:
                scope["fastapi_inner_astack"], scope["fastapi_function_astack"] = self.stacks
        return scope

    @property
    def receive(self) -> Receive:
        """ASGI's `receive`."""
        if self.receive_ is None:
            self.receive_ = self._asgi().receive
        return self.receive_

    @property
    def send(self) -> Send:
        """ASGI's `send`."""
        if self.send_ is None:
            self.send_ = self._asgi().send
        return self.send_

    @property
    def request(self) -> Request:
        """The `Request` that the application's functions get."""
        if self._request is None:
            self._request = Request(self.scope, self.receive, self.send)
        return self._request

    @property
    def has_request(self) -> bool:
        """Whether there is a `Request` already, which may have read the body."""
        return self._request is not None

    async def enter_loop(self) -> None:
        """Go on on the event loop."""
        if not self.on_loop:
            await _ENTER_LOOP
            self.on_loop = True

    async def in_thread(self, function: Callable[..., Any], arguments: dict[str, Any] = _NO_ARGUMENTS) -> Any:
        """`function(**arguments)` on a runner thread, in a copy of the context. Not interrupted by a cancellation."""
        if not self.on_loop:
            return copy_context().run(function, **arguments)
        call = asyncio.ensure_future(self.call.in_thread(function, arguments))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.wait({call})
            raise

    async def deliver(self, response: Response | Encoded) -> None:
        """Send the response, then run its background tasks."""
        call = self.call
        if type(response) is Encoded:
            if self.whole:
                call.respond_encoded(response.status_code)
                self.started = True
                return
            response = Response(call.encoded(), response.status_code, media_type="application/json")
        assert isinstance(response, Response)
        if self.whole and is_plain(type(response)):
            call.respond(response.status_code, response.raw_headers, response.body)
            self.started = True
            background = response.background
            if background is not None:
                await self.enter_loop()
                await background()
            return
        await self.enter_loop()
        await response(self.scope, self.receive, self._noting(self.send))

    def _noting(self, send: Send) -> Send:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.started = True
            await send(message)

        return noting

    def _asgi(self) -> Any:
        if self._channel is None:
            self._channel = self.call.channel()
        return self._channel


def is_plain(response_class: type) -> bool:
    """Whether sending such a response is sending its status, headers and body."""
    plain = _plain_classes.get(response_class)
    if plain is None:
        plain = _plain_classes[response_class] = response_class.__call__ is Response.__call__  # type: ignore[operator]
    return plain
