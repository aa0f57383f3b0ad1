"""Answering, as FastAPI would, for what a handler raised or returned on a compiled lane.

A compiled lane calls the handler itself. Its exceptions, and `Response` objects it returns, still have to go through
the application's own error handling: the replay is the application's stack with, in place of the router, an
application that raises the exception or sends the response.
"""

from __future__ import annotations

import threading
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import ResponseValidationError
from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from bimetal.compile.edge import Recognised
from bimetal.compile.edge_stack import InsideEdge, holding

_OUTCOME = "bimetal.outcome"


class ReplayStack:
    """The error handling of one application, built at its first use and kept."""

    def __init__(self, app: FastAPI, found: Recognised | None = None) -> None:
        self.app = app
        #: What is done at the server's edge.
        self.found = found or Recognised()
        self._stack: ASGIApp | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stack for a scope that carries an outcome."""
        if self.app.root_path:
            scope["root_path"] = self.app.root_path
        scope["app"] = self.app
        await self._built()(scope, receive, send)

    def _built(self) -> ASGIApp:
        if self._stack is None:
            with self._lock:
                if self._stack is None:
                    # FastAPI's own recipe for the stack, over our application in place of the router.
                    parts: Any = SimpleNamespace(
                        debug=self.app.debug,
                        exception_handlers=dict(self.app.exception_handlers),
                        user_middleware=[Middleware(InsideEdge, holding(self.found))],
                        router=_at_the_route,
                    )
                    self._stack = FastAPI.build_middleware_stack(parts)
        return self._stack


class RouteReplay:
    """`RoutePlan.replay` of one route: called with an outcome, gives the ASGI application that answers for it."""

    def __init__(self, stack: ReplayStack, route: Any, context: Any = None) -> None:
        self.stack = stack
        self.route = route
        #: FastAPI's effective context, for a route that belongs to an included router.
        self.context = context

    def __call__(self, outcome: Any) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_OUTCOME] = (self, outcome)
            await self.stack(scope, receive, send)

        return app

    async def answer(self, outcome: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI does from the router inwards, with the handler's outcome already known."""
        self._complete(scope)
        request = Request(scope, receive, send)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async with AsyncExitStack() as request_stack:
                scope["fastapi_inner_astack"] = request_stack
                async with AsyncExitStack() as function_stack:
                    scope["fastapi_function_astack"] = function_stack
                    if isinstance(outcome, BaseException):
                        _add_path(outcome, request, self.path_format)
                        raise outcome
                await outcome(scope, receive, send)

        await wrap_app_handling_exceptions(app, request)(scope, receive, send)

    @property
    def path_format(self) -> str:
        """The route's path as FastAPI names it in errors."""
        return str((self.context or self.route).dependant.path)

    def _complete(self, scope: Scope) -> None:
        """Give the scope what routing gives it."""
        scope.setdefault("router", self.stack.app.router)
        if self.context is not None:
            scope.setdefault("fastapi", {})["effective_route_context"] = self.context
        match, child_scope = self.route.matches(scope)
        if match != Match.NONE:
            scope.update(child_scope)
        scope["route"] = self.route


async def _at_the_route(scope: Scope, receive: Receive, send: Send) -> None:
    replay, outcome = scope.pop(_OUTCOME)
    await replay.answer(outcome, scope, receive, send)


def _add_path(error: BaseException, request: Request, path: str) -> None:
    """Complete the context of a refused result with the request's path, which is not known before the replay."""
    if isinstance(error, ResponseValidationError) and error.endpoint_ctx and "path" not in error.endpoint_ctx:
        mounted_at = request.scope.get("root_path", "").rstrip("/")
        error.endpoint_ctx["path"] = f"{request.method} {mounted_at}{path}"
        error.endpoint_path = error.endpoint_ctx["path"]
