"""From an exception to a response, as the application's exception handlers have it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from starlette._exception_handler import _lookup_exception_handler
from starlette._utils import is_async_callable
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import Message, Receive, Scope, Send

from bimetal.lane.entry import UNHANDLED
from bimetal.lane.exchange import Exchange

#: Completes a scope and gives the `send` for it.
Observer = Callable[[Scope, Send], Send]

#: Handlers that wait for nothing and do not look at the request.
_IMMEDIATE: tuple[Any, ...] = (http_exception_handler, request_validation_exception_handler)


class ErrorHandling:
    """The exception handlers of one application, read at the first exception and kept, as FastAPI keeps its stack."""

    def __init__(self, app: FastAPI, observer: Observer | None = None) -> None:
        self.app = app
        #: Sees each scope that is made, and the `send` that belongs to it: for the test client.
        self.observer = observer
        self._lock = threading.Lock()
        self._handlers: tuple[Any, Any] | None = None
        self._server_error: Any = None
        self._debug = False

    @property
    def handlers(self) -> tuple[Any, Any]:
        """Handlers by class of the exception, and by status: what a scope has as `starlette.exception_handlers`."""
        if self._handlers is None:
            with self._lock:
                if self._handlers is None:
                    self._handlers = self._read()
        return self._handlers

    def _read(self) -> tuple[Any, Any]:
        handlers = dict(self.app.exception_handlers)
        for key in (500, Exception):
            self._server_error = handlers.pop(key, None) or self._server_error
        self._debug = self.app.debug
        layer = ExceptionMiddleware(_unreachable, handlers=handlers, debug=self._debug)
        return layer._exception_handlers, layer._status_handlers

    async def answer(self, exchange: Exchange, error: Exception) -> None:
        """Answer with what the handler for `error` gives. Raises `error` where there is none."""
        by_class, by_status = self.handlers
        handler: Any = by_status.get(error.status_code) if isinstance(error, HTTPException) else None
        if handler is None:
            handler = _lookup_exception_handler(by_class, error)
        if handler is None:
            raise error
        if exchange.begun:
            raise RuntimeError("Caught handled exception, but response already started.") from error
        if handler in _IMMEDIATE:
            response = await handler(None, error)
        elif is_async_callable(handler):
            await exchange.enter_loop()
            response = await handler(exchange.request, error)
        else:
            request = exchange.request
            response = await exchange.in_thread(lambda: handler(request, error))
        if response is not None:
            await exchange.deliver(response)
        # A reused exception would gather the tracebacks of all its requests.
        error.__traceback__ = None

    async def unhandled(self, exchange: Exchange, error: Exception) -> None:
        """Answer 500, or with the traceback in debug mode, and raise `error`."""
        _ = self.handlers
        if exchange.begun and self._server_error is None:
            raise error

        async def raises(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        await exchange.enter_loop()
        if not exchange.begun:
            await exchange.send(UNHANDLED)
        layer = ServerErrorMiddleware(raises, handler=self._server_error, debug=self._debug)
        # The handler is called in any case; what it gives is sent only if nothing has been.
        await layer(exchange.scope, exchange.receive, _nowhere if exchange.begun else exchange.send)


async def _nowhere(message: Message) -> None:
    pass


async def _unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("only the handlers of this layer are used")
