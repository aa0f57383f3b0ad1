"""One request of a path operation: where it runs, its `Request` object, and how its response is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, final

import anyio
from anyio._backends._asyncio import _task_states
from anyio.lowlevel import checkpoint_if_cancelled
from starlette.middleware.base import _CachedRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bimetal.lane.entry import Held
from bimetal.lane.inner import Inner, Passed

if TYPE_CHECKING:
    from starlette.background import BackgroundTasks

    from bimetal._core import RouteCall
    from bimetal.lane.operation import Site

#: Whether instances of a response class send what they hold and do nothing else, by class.
_plain_classes: dict[type, bool] = {}


@final
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
        "direct",
        "files",
        "inner",
        "is_over",
        "on_loop",
        "own_receive",
        "readers",
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
        inner: Inner | None = None,
    ) -> None:
        self.site = site
        self.call = call
        #: Whether the coroutine runs on the event loop; on a runner otherwise.
        self.on_loop = call.on_loop
        #: Whether the request is as the client sent it: no middleware has changed it.
        self.whole = scope is None
        #: Whether the response goes straight to the client. Otherwise it goes to the middleware around: through
        #: `inner` where that is called directly, through `send` where it is an ASGI application.
        self.direct = send is None
        self.inner = inner
        #: Whether nothing is inside of what answers that has to wait until the response was sent.
        self.is_over = True
        #: Whether `receive` is the client's own, but for the readers: no ASGI middleware has a say in the body.
        self.own_receive = receive is None
        #: The requests of middleware around, which may have read the body.
        self.readers: tuple[_CachedRequest, ...] = ()
        #: What middleware around the operation gave, or what was made when it was first asked for.
        self.scope_ = scope
        self.receive_ = receive
        self.send_ = send
        #: Whether the response was given to the middleware around, or sent as a whole; see `begun`.
        self.started = False
        #: Closes the request's form when all is over.
        self.files: AsyncExitStack | None = None
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
            self.site.enter(scope)
            self._complete(scope)
        return scope

    def _complete(self, scope: Scope) -> None:
        self.site.complete(scope)
        self.files = scope["fastapi_middleware_astack"] = AsyncExitStack()
        self.note_stacks()

    def note_stacks(self) -> None:
        """Tell the scope, if there is one yet, of the stacks that generators are entered on."""
        if self.scope_ is not None and self.stacks is not None:
            self.scope_["fastapi_inner_astack"], self.scope_["fastapi_function_astack"] = self.stacks

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

    async def enter_loop(self) -> None:
        """Go on on the event loop."""
        if not self.on_loop:
            await _ENTER_LOOP
            self.on_loop = True

    async def in_thread(self, function: Callable[..., Any], arguments: dict[str, Any] = _NO_ARGUMENTS) -> Any:
        """`function(**arguments)` on a runner thread, in a copy of the context. Not interrupted by a cancellation."""
        if not self.on_loop:
            return run_here(function, arguments)
        if asyncio.current_task() in _task_states:
            # As AnyIO does it before it calls a thread; without a scope of AnyIO's around there is nothing to see.
            await checkpoint_if_cancelled()
        thread = self.call.in_thread(_outcome, {"function": function, "arguments": arguments})
        try:
            value, error = await thread.wait()
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await thread.wait()
            raise
        if error is not None:
            raise error
        return value

    async def deliver(self, response: Response | Encoded) -> None:
        """Send the response, then run its background tasks."""
        call = self.call
        if type(response) is Encoded:
            if self.direct:
                call.respond_encoded(response.status_code)
                self.started = True
                return
            await self._deliver_encoded(response.status_code)
            return
        body: bytes | memoryview | None = None
        # What has passed a `dispatch` is a stream for the middleware around, and gzip takes streams of any size.
        if type(response) is Passed and not (self.direct and self.site.within.holding):
            body = response.whole
        if body is None and is_plain(type(response)):
            body = response.body
        if body is not None and (self.direct or self.inner is not None):
            if self.inner is not None:
                self.started = True
                self.inner.give(response.status_code, response.raw_headers, body)
                if response.background is None and self.stacks is None and self.is_over:
                    # Nothing is left to do that has to wait.
                    return
                await self.enter_loop()
                await self.inner.until_sent()
            elif not call.respond(response.status_code, response.raw_headers, body):
                # The server says what is wrong once the head is sent, as for any application.
                await self.enter_loop()
                await response(self.scope, self.receive, self.parts())
                return
            else:
                self.started = True
            background = response.background
            if background is not None:
                await self.enter_loop()
                call.flush()
                await background()
            return
        await self.enter_loop()
        await response(self.scope, self.receive, self.parts())

    async def _deliver_encoded(self, status_code: int) -> None:
        """What a `JSONResponse` would do, to the middleware around."""
        body = self.call.encoded()
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        if self.inner is not None:
            self.started = True
            self.inner.give(status_code, headers, body)
            if self.stacks is None and self.is_over:
                return
            await self.enter_loop()
            await self.inner.until_sent()
            return
        await self.enter_loop()
        send = self.parts()
        await send({"type": "http.response.start", "status": status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @property
    def begun(self) -> bool:
        """Whether the response has begun."""
        return self.started or (self.direct and self.call.started)

    def parts(self) -> Send:
        """ASGI's `send` for a response that comes in parts."""
        if not self.direct:
            return self.noting(self.send)
        holding = self.site.within.holding
        return Held(self.send, holding) if holding else self.send

    def noting(self, send: Send) -> Send:
        """`send`, noting that the response has begun."""

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.started = True
            await send(message)

        return noting

    def enter(self) -> None:
        """Make the scope as it is when it enters the application's middleware."""
        scope = self.scope_ = self.call.scope()
        observer = self.site.errors.observer
        if observer is not None:
            self.send_ = observer(scope, self.send)
        self.site.enter(scope)

    def settle_in(self) -> None:
        """Come to the operation: give the scope what the router gives it, and see what became of the request."""
        self.whole = self.call.is_untouched(self.scope)
        self._complete(self.scope)

    def take_body(self) -> bool:
        """Whether the body is the call's: nobody has read it or stands between. It counts as read then."""
        if not (self.own_receive and self.call.is_buffered and self._request is None):
            return False
        for reader in self.readers:
            if reader._stream_consumed or hasattr(reader, "_body"):
                return False
        for reader in self.readers:
            reader._stream_consumed = reader._wrapped_rcv_consumed = True
        return True

    def _asgi(self) -> Any:
        if self._channel is None:
            self._channel = self.call.channel()
        return self._channel


def run_here(function: Callable[..., Any], arguments: dict[str, Any] = _NO_ARGUMENTS) -> Any:
    """`function(**arguments)` on this thread, in a copy of the context, as a worker thread would run it."""
    try:
        return copy_context().run(function, **arguments)
    except StopIteration as error:
        raise stopped(error) from error


def _outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, BaseException | None]:
    """What the function returns or raises: a CancelledError of its own must not look like one of the loop's."""
    try:
        return function(**arguments), None
    except StopIteration as error:
        return None, stopped(error)
    except BaseException as error:
        return None, error


def stopped(error: StopIteration) -> RuntimeError:
    """What AnyIO makes of a StopIteration that leaves a thread: a coroutine could not raise it."""
    wrapped = RuntimeError("coroutine raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def is_plain(response_class: type) -> bool:
    """Whether sending such a response is sending its status, headers and body."""
    plain = _plain_classes.get(response_class)
    if plain is None:
        plain = _plain_classes[response_class] = response_class.__call__ is Response.__call__
    return plain
