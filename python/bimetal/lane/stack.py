"""The application's middleware around its operations.

`@app.middleware("http")` and other subclasses of `BaseHTTPMiddleware` are called directly as long as nothing but
their like stands between them and the operation: `dispatch` with a `call_next` that runs the next layer in the same
task. Any other middleware is an ASGI application; it and what is around it run as they were written, with the
operation in the router's place.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, _CachedRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bimetal.lane.exchange import Exchange
from bimetal.lane.inner import Inner

if TYPE_CHECKING:
    from bimetal._core import RouteCall
    from bimetal.lane.operation import Operation

#: Since 1.8 Starlette's request of a `dispatch` can send, too.
_TAKES_SEND = "send" in inspect.signature(_CachedRequest.__init__).parameters

#: Where a scope says, on its way through ASGI middleware, which request of which operation it belongs to.
_KEY = "bimetal.call"

#: Where an application keeps its stack: a second server of the same application has the same middleware.
_ATTRIBUTE = "_bimetal_stack"


class Stack:
    """The middleware of one application. Its instances are the application's own: it has no others."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._lock = threading.Lock()
        self._built: ASGIApp | None = None
        #: The layers, outermost first, and how many of them are ASGI applications.
        self._made: list[Any] = []
        self._asgi_layers = 0
        #: `dispatch` of the layers that are called directly, outermost first.
        self._dispatches: list[Callable[..., Awaitable[Response]]] = []
        #: What is inside all of them when no operation is: the application's error handling and its router.
        self._rest: ASGIApp | None = None

    def install(self) -> None:
        """Make the application's middleware, unless it has been made, and give it to the application."""
        with self._lock:
            if self._built is None:
                self._build()
            if self.app.middleware_stack is None:
                self.app.middleware_stack = self._built

    async def run(self, call: RouteCall, operation: Operation, done: int) -> None:
        """Answer a request through the middleware, without the first `done` of its layers.

        Raises what passes through all of it.
        """
        exchange = Exchange(operation.site, call)
        exchange.enter()
        try:
            await self.through(exchange, operation, done)
        except Exception as error:
            await operation.site.errors.unhandled(exchange, error)

    async def through(self, exchange: Exchange, operation: Operation, done: int) -> None:
        """The same for an exchange that has a scope. Raises what the layers do not handle."""
        if self._built is None:
            self.install()
        if done < self._asgi_layers:
            scope = exchange.scope
            scope[_KEY] = (exchange.call, operation)
            await self._made[done](scope, exchange.receive, exchange.parts())
        else:
            await self._layers(exchange, operation, done - self._asgi_layers)

    def _layers(self, exchange: Exchange, operation: Operation, number: int) -> Coroutine[Any, Any, None]:
        """The layers from `number` inwards, and the operation."""
        if number < len(self._dispatches):
            return self._dispatch(exchange, operation, number)
        return self._operation(exchange, operation)

    async def _operation(self, exchange: Exchange, operation: Operation) -> None:
        if exchange.call.is_routed_here(exchange.scope):
            exchange.settle_in()
            await operation.serve(exchange)
        else:
            # Middleware has sent the request elsewhere.
            await exchange.enter_loop()
            assert self._rest is not None
            await self._rest(exchange.scope, exchange.receive, exchange.parts())

    async def _dispatch(self, exchange: Exchange, operation: Operation, number: int) -> None:
        request = _CachedRequest(exchange.scope, exchange.receive, *([exchange.send] if _TAKES_SEND else []))
        runs: list[Inner] = []

        async def call_next(_: Request) -> Response:
            inner = self._inner(exchange, request, operation, number)
            runs.append(inner)
            response = await inner.until_response()
            if len(runs) > 1 and not all(earlier.is_read for earlier in runs[:-1]):
                # The messages of both would come through one stream: Starlette finds a body in a head's place.
                raise AssertionError
            return response

        try:
            response = await self._dispatches[number](request, call_next)
            exchange.is_over = runs[0].is_over if len(runs) == 1 else all(inner.is_over for inner in runs)
            await exchange.deliver(response)
        except BaseException:
            for inner in runs:
                await inner.cancel()
            raise
        for inner in runs:
            await inner.to_end()

    def _inner(self, outer: Exchange, request: _CachedRequest, operation: Operation, number: int) -> Inner:
        inner = Inner()

        async def receive() -> Message:
            return {"type": "http.disconnect"} if inner.sent else await request.wrapped_receive()

        exchange = Exchange(outer.site, outer.call, outer.scope, receive, inner.send, inner)
        exchange.readers = (*outer.readers, request)
        exchange.own_receive = outer.own_receive
        layers = self._layers(exchange, operation, number + 1)
        # Two of its hops are saved where the operation begins on a runner anyway.
        exchange.on_loop = not (operation.starts_on_runner and number + 1 == len(self._dispatches))
        if exchange.on_loop:
            inner.start(layers)
        else:
            inner.start_on_runner(outer.call, layers)
        return inner

    def _build(self) -> None:
        made: list[Any] = []

        def layer(middleware: Middleware, inside: int) -> Middleware:
            def make(app: ASGIApp, *args: Any, **kwargs: Any) -> ASGIApp:
                if inside == self._asgi_layers:
                    app = _Junction(self, app)
                instance = middleware.cls(app, *args, **kwargs)
                made.append(instance)
                return instance

            return Middleware(make, *middleware.args, **middleware.kwargs)

        def innermost(app: ASGIApp) -> ASGIApp:
            self._rest = app
            return app

        layers = self.app.user_middleware
        direct = [is_direct(middleware) for middleware in layers]
        self._asgi_layers = len(layers)
        while self._asgi_layers > 0 and direct[self._asgi_layers - 1]:
            self._asgi_layers -= 1
        parts: Any = SimpleNamespace(
            debug=self.app.debug,
            exception_handlers=dict(self.app.exception_handlers),
            user_middleware=[
                *(layer(middleware, number + 1) for number, middleware in enumerate(layers)),
                Middleware(innermost),
            ],
            router=self.app.router,
            # Since 0.165; an application that has one is not compiled.
            max_body_size=None,
        )
        # FastAPI's own recipe, so that the application has it as if it had made it.
        built = FastAPI.build_middleware_stack(parts)
        made.reverse()
        self._made = made
        self._dispatches = [instance.dispatch_func for instance in made[self._asgi_layers :]]
        self._built = built


def stack_of(app: FastAPI) -> Stack:
    """The stack of an application, the same one each time."""
    # In one step: two servers of it may start at once.
    stack: Stack = app.__dict__.setdefault(_ATTRIBUTE, Stack(app))
    return stack


def is_built_here(app: FastAPI) -> bool:
    """Whether the application's middleware is what its `Stack` has made."""
    stack: Stack | None = getattr(app, _ATTRIBUTE, None)
    return stack is not None and stack._built is not None and app.middleware_stack is stack._built


class _Junction:
    """Stands inside the innermost ASGI middleware: from here on the layers are called directly."""

    def __init__(self, stack: Stack, otherwise: ASGIApp) -> None:
        self.stack = stack
        self.otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Taken away: a second use of the scope goes the usual way.
        found = scope.pop(_KEY, None)
        if found is None:
            await self.otherwise(scope, receive, send)
            return
        call, operation = found
        exchange = Exchange(operation.site, call, scope, receive, send)
        await self.stack._layers(exchange, operation, 0)


def is_direct(middleware: Middleware) -> bool:
    """Whether all the middleware does with a request is `dispatch`."""
    made_by: Any = middleware.cls
    return (
        isinstance(made_by, type)
        and issubclass(made_by, BaseHTTPMiddleware)
        and made_by.__call__ is BaseHTTPMiddleware.__call__
    )
