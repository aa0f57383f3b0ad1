"""One path operation: what FastAPI does with a request from its router inwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import FastAPIError, RequestValidationError, ResponseValidationError
from fastapi.routing import _extract_endpoint_context
from fastapi.utils import is_body_allowed_for_status_code
from pydantic_core import PydanticUndefined, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from bimetal.compile.plan import ResponsePlan, StepPlan
from bimetal.compile.response import without_path
from bimetal.lane.body import BodySettings, read_body
from bimetal.lane.errors import ErrorHandling
from bimetal.lane.exchange import Encoded, Exchange, run_here, stopped
from bimetal.lane.solve import refused_body, solve

if TYPE_CHECKING:
    from bimetal._core import EdgeLayer, RouteCall
    from bimetal.lane.stack import Stack
    from bimetal.lane.tracing import Tracing

__all__ = ["BodySettings", "Operation", "Site", "Within"]

_NOT_AWAITED = (
    "Response not awaited. There's a high chance that the "
    "application code is raising an exception and a dependency with yield "
    "has a block with a bare except, or a block with except Exception, "
    "and is not raising the exception again. Read more about it in the "
    "docs: https://fastapi.tiangolo.com/tutorial/dependencies/dependencies-with-yield/#dependencies-with-yield-and-except"
)


_NO_SPAN = nullcontext()


@dataclass(frozen=True)
class Within:
    """What is around all operations of an application."""

    errors: ErrorHandling
    #: The application's middleware, if there is any that the server's edge does not do.
    stack: Stack | None = None
    #: How many layers of it the edge does, and those that keep the head of a response back until its body begins.
    at_edge: int = 0
    holding: Sequence[EdgeLayer] = ()
    #: The application's telemetry, where it records requests.
    tracing: Tracing | None = None


@dataclass(frozen=True)
class Site:
    """Where a route stands in its application."""

    route: Any
    #: FastAPI's effective context, for a route that belongs to an included router.
    context: Any
    within: Within

    @property
    def errors(self) -> ErrorHandling:
        """The application's exception handlers."""
        return self.within.errors

    @property
    def dependant(self) -> Any:
        """FastAPI's description of the handler."""
        return (self.context or self.route).dependant

    def enter(self, scope: Scope) -> None:
        """Give a scope what the application gives it."""
        app = self.errors.app
        if app.root_path:
            scope["root_path"] = app.root_path
        scope["app"] = app

    def complete(self, scope: Scope) -> None:
        """Give a scope what the application's error handling and its router give it."""
        scope["starlette.exception_handlers"] = self.errors.handlers
        scope.setdefault("router", self.errors.app.router)
        if self.context is not None:
            scope.setdefault("fastapi", {})["effective_route_context"] = self.context
        place = self.context or self.route
        if place.param_convertors:
            match, child_scope = self.route.matches(scope)
            if match != Match.NONE:
                scope.update(child_scope)
        else:
            scope["endpoint"] = place.endpoint
            scope["path_params"] = dict(scope.get("path_params", ()))
        scope["route"] = self.route
        if self.within.tracing is not None:
            self.within.tracing.selected(scope, place.path_format)

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
        #: Whether its first call is one for a runner.
        self.starts_on_runner = False
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

    def run(self, call: RouteCall) -> Coroutine[Any, Any, None]:
        """Answer a request."""
        within = self.site.within
        if within.tracing is not None:
            return within.tracing.run(call, self)
        if within.stack is not None:
            return within.stack.run(call, self, within.at_edge)
        return self._run(call)

    async def _run(self, call: RouteCall) -> None:
        exchange = Exchange(self.site, call)
        try:
            await self.serve(exchange)
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
                if isinstance(outcome, StopIteration):
                    raise stopped(outcome)
                if isinstance(outcome, (RequestValidationError, ResponseValidationError)):
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

    def serve(self, exchange: Exchange) -> Awaitable[None]:
        """Answer an exchange, with the application's exception handlers. Raises what these do not handle."""
        return self._serve(exchange, self._answer)

    async def _serve(self, exchange: Exchange, answer: Callable[[Exchange], Awaitable[Response | Encoded]]) -> None:
        errors = self.site.errors
        try:
            try:
                try:
                    await self._respond(exchange, answer)
                except Exception as error:
                    await errors.answer(exchange, error)
            finally:
                if exchange.files is not None and exchange.files._exit_callbacks:  # type: ignore[attr-defined]
                    await exchange.files.aclose()
        except Exception as error:
            # The application's own layer: for what the handlers raise themselves.
            await errors.answer(exchange, error)

    async def _respond(self, exchange: Exchange, answer: Callable[[Exchange], Awaitable[Response | Encoded]]) -> None:
        if not (self.has_exits or (self.overridable and self.overridable.dependency_overrides)):
            await exchange.deliver(await answer(exchange))
            return
        sent = False
        async with AsyncExitStack() as after_response:
            async with AsyncExitStack() as before_response:
                exchange.stacks = (after_response, before_response)
                exchange.note_stacks()
                response = await answer(exchange)
            await exchange.deliver(response)
            exchange.call.flush()
            sent = True
        if not sent:
            raise FastAPIError(_NOT_AWAITED)

    async def _answer(self, exchange: Exchange) -> Response | Encoded:
        if self.handler is not None:
            await exchange.enter_loop()
            return await self.handler(exchange.request)
        tracing = self.site.within.tracing
        if tracing is not None:
            tracing.note(request=exchange.request)
        steps = self.steps
        if self.overridable is not None and (overrides := self.overridable.dependency_overrides):
            steps = self._with(overrides)
        body: Any = PydanticUndefined
        embed = False
        if self.body is not None:
            embed = self.body.embed
            if any(step.request for step in steps):
                _ = exchange.request
            try:
                body = await read_body(exchange, self.body)
            except RequestValidationError as invalid:
                if tracing is not None:
                    tracing.refused(invalid)
                raise
        given = None if body is PydanticUndefined else body
        if tracing is None:
            values, errors = await solve(exchange, steps, body, embed)
        else:
            tracing.note(body=given)
            with tracing.span("dependencies", steps[-1].call):
                values, errors = await solve(exchange, steps, body, embed)
                tracing.note(values=values, errors=errors)
        if errors:
            error = RequestValidationError(errors, body=given, endpoint_ctx=self.site.endpoint_context(exchange))
            if tracing is not None:
                tracing.refused(error)
            raise error
        return await self._call(exchange, steps[-1], values)

    async def _call(self, exchange: Exchange, handler: StepPlan, values: dict[str, Any]) -> Response | Encoded:
        """Call the handler and make a response of its result."""
        result: Any
        content: Any = None
        if handler.kind == "function":

            def call_and_encode() -> tuple[Any, Any]:
                with self._span("endpoint", handler):
                    result = handler.call(**values)
                return result, (None if isinstance(result, Response) else self._encode(exchange, result))

            if exchange.on_loop:
                result, content = await exchange.in_thread(call_and_encode)
            else:
                result, content = run_here(call_and_encode)
        else:
            await exchange.enter_loop()
            with self._span("endpoint", handler):
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
            with self._span("serialization", self.steps[-1]):
                if plan.encoded:
                    exchange.call.encode(result)
                    return None
                assert plan.content is not None
                return plan.content(result)
        except ResponseValidationError as error:
            self._complete(exchange, error)
            raise

    def _span(self, name: str, step: StepPlan) -> AbstractContextManager[None]:
        tracing = self.site.within.tracing
        return _NO_SPAN if tracing is None else tracing.span(name, step.call)

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

    def invalid_body(self, error: ValidationError, body: Any) -> RequestValidationError:
        """What FastAPI raises for a body that its one parameter refuses; `settle` adds the request's path."""
        return RequestValidationError(
            refused_body(error), body=body, endpoint_ctx=without_path(self.site.dependant.call)
        )

    def _complete(self, exchange: Exchange, error: RequestValidationError | ResponseValidationError) -> None:
        """Add the request's path to the context of an error that was made without it."""
        if error.endpoint_ctx and "path" not in error.endpoint_ctx:
            error.endpoint_ctx["path"] = self.site.endpoint_context(exchange).get("path", "")
            error.endpoint_path = error.endpoint_ctx["path"]

    def _with(self, overrides: Mapping[Any, Any]) -> tuple[StepPlan, ...]:
        # A copy, and below another: other threads may change both meanwhile.
        overrides = dict(overrides)
        key = tuple((id(call), id(other)) for call, other in overrides.items())
        found = self._overridden.get(key)
        if found is None:
            # The steps hold on to the functions, so that an id is not given to another meanwhile.
            found = self._overridden[key] = self.overridden_steps(overrides)
            for old in list(self._overridden)[:-8]:
                self._overridden.pop(old, None)
        return found


def _have_exits(steps: tuple[StepPlan, ...]) -> bool:
    # What sees the scope finds the stacks in it, as FastAPI has them.
    return any(
        step.kind in ("generator", "async generator") or (step.request and step.kind != "immediate") for step in steps
    )
