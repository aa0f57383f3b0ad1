"""FastAPI's own telemetry around an operation: the same spans, metrics and log records, at the same points."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from bimetal.lane.exchange import Exchange

if TYPE_CHECKING:
    from bimetal._core import RouteCall
    from bimetal.lane.operation import Operation


class Tracing:
    """The telemetry of one application. Made only for a FastAPI that has it, and where it records."""

    def __init__(self, app: FastAPI) -> None:
        from fastapi.telemetry import _api, _asgi

        self.app = app
        self._native: Any = app._native_telemetry
        self._api = _api
        self._asgi = _asgi

    async def run(self, call: RouteCall, operation: Operation) -> None:
        """Answer a request, recorded. Raises what the application raises."""
        exchange = Exchange(operation.site, call)
        exchange.enter()
        app = self.app
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()
        await self._native(
            app=self._inside(call, operation),
            scope=exchange.scope,
            receive=exchange.receive,
            send=exchange.send,
            legacy_otel=self._asgi._legacy_otel(app.middleware_stack),
        )

    def _inside(self, call: RouteCall, operation: Operation) -> ASGIApp:
        within = operation.site.within

        async def layers(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = Exchange(operation.site, call, scope, receive, send)
            if within.stack is not None:
                await within.stack.through(exchange, operation, within.at_edge)
            else:
                exchange.settle_in()
                await operation.serve(exchange)

        # Inside the server's error handling and outside all else, as FastAPI has it.
        noted = self._asgi.ExceptionTelemetryMiddleware(layers)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = Exchange(operation.site, call, scope, receive, send)
            try:
                await noted(scope, receive, exchange.noting(send))
            except Exception as error:
                await within.errors.unhandled(exchange, error)

        return answer

    def selected(self, scope: Scope, path: str) -> None:
        """The route of the request is known."""
        self._api._route_selected(scope=scope, path=path)

    def span(self, name: str, function: Callable[..., Any]) -> AbstractContextManager[None]:
        """A part of the work, while the context manager is entered."""
        return self._api._operation(name=name, function=function)

    def note(self, **known: Any) -> None:
        """What is known of the request by now."""
        data = self._api.get_telemetry_data()
        if data is not None:
            for name, value in known.items():
                setattr(data, name, value)

    def refused(self, error: RequestValidationError) -> None:
        """The request does not validate."""
        self._api._validation_failed(error)
