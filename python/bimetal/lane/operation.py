"""One path operation: what FastAPI does with a request from its router inwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import FastAPIError, RequestValidationError, ResponseValidationError
from fastapi.routing import _extract_endpoint_context
from fastapi.utils import is_body_allowed_for_status_code
from pydantic_core import PydanticUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from bimetal.compile.plan import ResponsePlan, StepPlan
from bimetal.lane.body import BodySettings, read_body
from bimetal.lane.errors import ErrorHandling
from bimetal.lane.exchange import Encoded, Exchange
from bimetal.lane.solve import solve

if TYPE_CHECKING:
    from bimetal._core import RouteCall

__all__ = ["BodySettings", "Operation", "Site"]

_NOT_AWAITED = (
    "Response not awaited. There's a high chance that the "
    "application code is raising an exception and a dependency with yield "
    "has a block with a bare except, or a block with except Exception, "
    "and is not raising the exception again. Read more about it in the "
    "docs: https://fastapi.tiangolo.com/tutorial/dependencies/dependencies-with-yield/#dependencies-with-yield-and-except"
)


@dataclass(frozen=True)
class Site:
    """Where a route stands in its application."""

    route: Any
    #: FastAPI's effective context, for a route that belongs to an included router.
    context: Any
    errors: ErrorHandling

    @property
    def dependant(self) -> Any:
        """FastAPI's description of the handler."""
        return (self.context or self.route).dependant

    def complete(self, scope: Scope) -> None:
        """Give a scope what the application and its router give it."""
        app = self.errors.app
        if app.root_path:
            scope["root_path"] = app.root_path
        scope["app"] = app
        scope["starlette.exception_handlers"] = self.errors.handlers
        scope.setdefault("router", app.router)
        if self.context is not None:
            scope.setdefault("fastapi", {})["effective_route_context"] = self.context
        match, child_scope = self.route.matches(scope)
        if match != Match.NONE:
            scope.update(child_scope)
        scope["route"] = self.route

    def endpoint_context(self, exchange: Exchange) -> Any:
        """What FastAPI's errors say of the handler and the request."""
        dependant = self.dependant
        context = _extract_endpoint_context(dependant.call)
        if dependant.path:
            mounted_at = exchange.scope.get("root_path", "").rstrip("/")
            context["path"] = f"{exchange.call.method} {mounted_at}{dependant.path}"
        return context


class Operation:
    """Answers the requests of one route, by its plan."""

    def __init__(
        self,
        site: Site,
        steps: tuple[StepPlan, ...],
        response: ResponsePlan,
        body: BodySettings | None,
        overridable: Any,
        overridden_steps: Callable[[Mapping[Any, Any]], tuple[StepPlan, ...]],
    ) -> None:
        """`overridable.dependency_overrides` is looked at for each request; `overridden_steps` gives its steps."""
        self.site = site
        self.steps = steps
        self.response = response
        self.body = body
        self.overridable = overridable if len(steps) > 1 else None
        self.overridden_steps = overridden_steps
        self.has_exits = _have_exits(steps)
        #: FastAPI's own handler, where it makes the calls.
        self.handler: Callable[[Request], Awaitable[Response]] | None = None
        self._overridden: dict[Any, tuple[StepPlan, ...]] = {}

    @classmethod
    def of_handler(cls, site: Site, handler: Callable[[Request], Awaitable[Response]]) -> Operation:
        """An operation that leaves the calls to FastAPI's own request handler."""
        operation = cls(site, (), ResponsePlan(), None, None, lambda _: ())
        operation.handler = handler
        operation.has_exits = True
        return operation

    @property
    def reads_forms(self) -> bool:
        """Whether a form may be read: as the route's body, or by FastAPI's own handler."""
        return self.handler is not None or (self.body is not None and self.body.form)

    async def run(self, call: RouteCall) -> None:
        """Answer a request."""
        exchange = Exchange(self.site, call)
        try:
            await self._serve(exchange, self._answer)
        except Exception as error:
            await self.site.errors.unhandled(exchange, error)
        except BaseException:
            # What ends the process has to leave the loop.
            await exchange.enter_loop()
            raise

    async def settle(self, call: RouteCall, outcome: Any) -> None:
        """Answer a request whose handler has been called: it raised `outcome`, or returned this response object."""
        exchange = Exchange(self.site, call)

        async def answer(exchange: Exchange) -> Response:
            if isinstance(outcome, BaseException):
                if isinstance(outcome, ResponseValidationError):
                    self._complete(exchange, outcome)
                raise outcome
            return outcome  # type: ignore[no-any-return]

        try:
            await self._serve(exchange, answer)
        except Exception as error:
            await self.site.errors.unhandled(exchange, error)
        except BaseException:
            await exchange.enter_loop()
            raise

    async def _serve(
        self, exchange: Exchange, answer: Callable[[Exchange], Awaitable[Response | Encoded]]
    ) -> None:
        errors = self.site.errors
        try:
            try:
                try:
                    await self._respond(exchange, answer)
                except Exception as error:
                    await errors.answer(exchange, error)
            finally:
                if exchange.form is not None:
                    await exchange.form.close()
        except Exception as error:
            # The application's own layer: for what the handlers raise themselves.
            await errors.answer(exchange, error)

    async def _respond(
        self, exchange: Exchange, answer: Callable[[Exchange], Awaitable[Response | Encoded]]
    ) -> None:
        if not (self.has_exits or (self.overridable and self.overridable.dependency_overrides)):
            await exchange.deliver(await answer(exchange))
            return
        sent = False
        async with AsyncExitStack() as after_response:
            async with AsyncExitStack() as before_response:
                exchange.stacks = (after_response, before_response)
                if not exchange.whole:
                    exchange.scope["fastapi_inner_astack"] = after_response
                    exchange.scope["fastapi_function_astack"] = before_response
                response = await answer(exchange)
            await exchange.deliver(response)
            sent = True
        if not sent:
            raise FastAPIError(_NOT_AWAITED)

    async def _answer(self, exchange: Exchange) -> Response | Encoded:
        if self.handler is not None:
            await exchange.enter_loop()
            exchange.scope.setdefault("fastapi_middleware_astack", exchange.stacks[0] if exchange.stacks else None)
            return await self.handler(exchange.request)
        steps = self.steps
        if self.overridable is not None and (overrides := self.overridable.dependency_overrides):
            steps = self._with(overrides)
        body: Any = PydanticUndefined
        embed = False
        if self.body is not None:
            embed = self.body.embed
            if any(step.request for step in steps):
                _ = exchange.request
            body = await read_body(exchange, self.body)
        values, errors = await solve(exchange, steps, body, embed)
        if errors:
            raise RequestValidationError(
                errors,
                body=None if body is PydanticUndefined else body,
                endpoint_ctx=self.site.endpoint_context(exchange),
            )
        return await self._call(exchange, steps[-1], values)

    async def _call(self, exchange: Exchange, handler: StepPlan, values: dict[str, Any]) -> Response | Encoded:
        """Call the handler and make a response of its result."""
        result: Any
        content: Any = None
        if handler.kind == "function":

            def call_and_encode() -> tuple[Any, Any]:
                result = handler.call(**values)
                return result, (None if isinstance(result, Response) else self._encode(exchange, result))

            if exchange.on_loop:
                result, content = await exchange.in_thread(call_and_encode)
            else:
                result, content = copy_context().run(call_and_encode)
        else:
            await exchange.enter_loop()
            result = await handler.call(**values)
            if not isinstance(result, Response):
                content = self._encode(exchange, result)
        if isinstance(result, Response):
            if result.background is None:
                result.background = exchange.background
            return result
        return self._response(exchange, content)

    def _encode(self, exchange: Exchange, result: Any) -> Any:
        plan = self.response
        try:
            if plan.encoded:
                exchange.call.encode(result)
                return None
            assert plan.content is not None
            return plan.content(result)
        except ResponseValidationError as error:
            self._complete(exchange, error)
            raise

    def _response(self, exchange: Exchange, content: Any) -> Response | Encoded:
        plan, shared, background = self.response, exchange.response, exchange.background
        if plan.encoded:
            if shared is None and background is None:
                return Encoded(plan.status or 200)
            content = exchange.call.encoded()
        options: dict[str, Any] = {"background": background}
        status = (shared.status_code if shared is not None else None) or plan.status
        if status is not None:
            options["status_code"] = status
        response = plan.make(content, **options)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        if shared is not None:
            response.headers.raw.extend(shared.headers.raw)
        return response

    def _complete(self, exchange: Exchange, error: ResponseValidationError) -> None:
        """Add the request's path to a refused result's context."""
        if error.endpoint_ctx and "path" not in error.endpoint_ctx:
            error.endpoint_ctx["path"] = self.site.endpoint_context(exchange).get("path", "")
            error.endpoint_path = error.endpoint_ctx["path"]

    def _with(self, overrides: Mapping[Any, Any]) -> tuple[StepPlan, ...]:
        key = tuple((id(call), id(other)) for call, other in overrides.items())
        found = self._overridden.get(key)
        if found is None:
            # The steps hold on to the functions, so that an id is not given to another meanwhile.
            found = self._overridden[key] = self.overridden_steps(dict(overrides))
            while len(self._overridden) > 8:
                self._overridden.pop(next(iter(self._overridden)))
        return found


def _have_exits(steps: tuple[StepPlan, ...]) -> bool:
    return any(step.kind in ("generator", "async generator") for step in steps)
