"""The Rust lanes in a few lines of Python: plans and `bimetal.lane`, held against FastAPI without a server."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import types
from collections.abc import Generator, Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from bimetal.compile import BodyPlan, ParamPlan, RoutePlan
from bimetal.compile.render import render_json

#: The texts that Rust reads by itself, and how.
CANONICAL: dict[str, tuple[str, Any]] = {
    "str": (r"(?s:.*)", str),
    "int": (r"0|-?[1-9][0-9]{0,17}", int),
    "float": (r"-?[0-9]{1,15}\.[0-9]{1,15}|-?[0-9]{1,15}", float),
    "bool": (r"true|false", lambda text: text == "true"),
}

#: How a request was answered: by a bare call of the handler, by the route's operation, by the whole application.
Way = Literal["direct", "operation", "asgi"]


class Doubtful(Exception):
    """The request's parameters or body are FastAPI's to judge."""


class PlanRunner:
    """An ASGI application that answers by the plans, and by the application where there is none."""

    def __init__(self, app: Any, plans: list[RoutePlan]) -> None:
        self.app = app
        self.routes = [(compile_path(plan.path)[0], plan) for plan in plans]
        #: The lane of each request, and how it was answered, in order.
        self.ways: list[tuple[str, Way]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        for pattern, plan in self.routes:
            match = pattern.match(scope["path"])
            if match and (not plan.methods or scope["method"] in plan.methods):
                break
        else:
            plan, match = None, None
        if plan is None or plan.lane not in ("sync", "async"):
            self.ways.append(("asgi", "asgi"))
            await self.app(scope, receive, send)
            return
        call = Call(plan, match.groupdict(), scope, await Request(scope, receive).body(), receive, send)
        try:
            await self.answer(plan, call)
        finally:
            await call.flush()

    async def answer(self, plan: RoutePlan, call: Call) -> None:
        if plan.direct is not None:
            try:
                arguments = call.direct_arguments()
            except Doubtful:
                pass
            except RequestValidationError as error:
                self.ways.append((plan.lane, "direct"))
                call.on_loop = True
                await plan.operation.settle(call, error)
                return
            else:
                self.ways.append((plan.lane, "direct"))
                await answer_directly(plan, call, arguments)
                return
        self.ways.append((plan.lane, "operation"))
        if plan.start == "loop":
            await plan.operation.run(call)
            return
        operation = plan.operation.run(call)
        if not await asyncio.to_thread(ended_on_runner, operation):
            call.on_loop = True
            await resumed(operation)


def ended_on_runner(operation: Any) -> bool:
    """Run an operation's coroutine until it ends, or wants to go on on the event loop."""
    try:
        assert operation.send(None) is None
    except StopIteration:
        return True
    return False


@types.coroutine
def resumed(operation: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was begun elsewhere."""
    yield from operation


async def answer_directly(plan: RoutePlan, call: Call, arguments: dict[str, Any]) -> None:
    """The bare call of the handler, and what is made of its outcome."""
    call.on_loop = True
    outcome: Any
    try:
        outcome = plan.direct.handler(**arguments)
        if plan.lane == "async":
            outcome = await outcome
        if not isinstance(outcome, Response):
            call.encode(outcome)
            call.respond_encoded(plan.direct.status)
            return
    except Exception as error:
        outcome = error
    await plan.operation.settle(call, outcome)


class Call:
    """A stand-in for `bimetal._core.RouteCall`."""

    def __init__(self, plan: RoutePlan, path: dict[str, str], scope: Any, body: bytes, receive: Any, send: Any) -> None:
        self.plan = plan
        self.on_loop = plan.start == "loop"
        self.method = scope["method"]
        self.is_buffered = plan.body != "stream"
        self._body = body
        self._scope = scope
        self._parts = [{"type": "http.request", "body": body, "more_body": False}]
        self._receive, self._send = receive, send
        self._encoded: bytes | None = None
        self._answer: Response | None = None
        #: Whether the response has begun.
        self.started = False
        self._made: Any = None
        self._sources: dict[str, Mapping[str, str]] = {
            "path": path,
            "query": dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            "header": Request(scope).headers,
            "cookie": Request(scope).cookies,
        }

    @property
    def body(self) -> bytes:
        assert self.is_buffered
        return self._body

    @property
    def body_size(self) -> int:
        return len(self.body)

    def header(self, name: str) -> str | None:
        return self._sources["header"].get(name)

    def json(self) -> Any:
        return json.loads(self.body)

    def values(self, number: int) -> dict[str, Any] | None:
        params = self.plan.steps[number].params
        if params is None:
            return None
        try:
            return {param.keyword: param_value(param, self._sources[param.source]) for param in params}
        except Doubtful:
            return None

    def direct_arguments(self) -> dict[str, Any]:
        """The keyword arguments of a bare call. Raises RequestValidationError for a body of another form."""
        values = self.values(0)
        if values is None:
            raise Doubtful
        body = self.plan.direct.body
        return values if body is None else {**values, body.keyword: self._body_value(body)}

    def scope(self) -> dict[str, Any]:
        self._made = copy.copy(self._scope)
        return copy.copy(self._made)

    def is_routed_here(self, scope: Any) -> bool:
        return all(scope[key] is self._made[key] for key in ("path", "method"))

    def is_untouched(self, scope: Any) -> bool:
        return self.is_routed_here(scope) and all(scope[key] is self._made[key] for key in ("query_string", "headers"))

    def channel(self) -> Any:
        return types.SimpleNamespace(receive=self._next_part, send=self._told)

    def encode(self, result: Any) -> None:
        response = self.plan.response
        assert response.encoded
        if response.validate is None:
            self._encoded = render_json(result)
            return
        assert response.to_json is not None
        assert response.invalid is not None
        try:
            value = response.validate(result)
        except ValueError as error:
            raise response.invalid(error, result) from None
        self._encoded = response.to_json(value)

    def encoded(self) -> bytes:
        assert self._encoded is not None
        return self._encoded

    def respond_encoded(self, status: int) -> None:
        self._respond(Response(self.encoded(), status, media_type="application/json"))

    def respond(self, status: int, headers: Any, body: bytes) -> bool:
        response = Response(body, status)
        response.raw_headers = list(headers)
        self._respond(response)
        return True

    def in_thread(self, function: Any, arguments: dict[str, Any]) -> Thread:
        assert self.on_loop
        return Thread(function, arguments)

    async def flush(self) -> None:
        """Send the response, where there is one."""
        if self._answer is not None:
            await self._answer(self._scope, self._next_part, self._send)

    def _respond(self, response: Response) -> None:
        assert self._answer is None
        self._answer = response
        self.started = True

    async def _told(self, message: Any) -> None:
        self.started = self.started or message["type"] == "http.response.start"
        await self._send(message)

    async def _next_part(self) -> Any:
        return self._parts.pop() if self._parts else await self._receive()

    def _body_value(self, plan: BodyPlan) -> Any:
        if not self._body:
            return absent(plan)
        if self.header("content-type") != "application/json":
            raise Doubtful
        try:
            value = self.json()
        except ValueError:
            raise Doubtful from None
        if value is None:
            raise Doubtful
        try:
            return plan.validate(value)
        except ValidationError as error:
            raise self.plan.operation.invalid_body(error, value) from None


class Thread:
    """What `Call.in_thread` gives: a function that runs on a thread."""

    def __init__(self, function: Any, arguments: dict[str, Any]) -> None:
        self._ended = asyncio.ensure_future(asyncio.to_thread(function, **arguments))

    async def wait(self) -> Any:
        return await asyncio.shield(self._ended)


def param_value(param: ParamPlan, source: Mapping[str, str]) -> Any:
    """The value of one parameter."""
    text = source.get(param.alias)
    if text is None:
        return absent(param)
    if param.kind == "validator":
        return validated(param, text)
    pattern, convert = CANONICAL[param.kind]
    if not re.fullmatch(pattern, text):
        raise Doubtful
    return convert(text)


def validated(plan: ParamPlan, value: Any) -> Any:
    """The plan's validator on a value; a refusal is FastAPI's to word."""
    assert plan.validate is not None
    try:
        return plan.validate(value)
    except Exception:
        raise Doubtful from None


def absent(plan: ParamPlan | BodyPlan) -> Any:
    """What stands in for a missing value."""
    if plan.required:
        raise Doubtful
    return plan.default_factory() if plan.default_factory is not None else plan.default
