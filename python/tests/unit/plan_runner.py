"""A plan carried out in a few lines of Python, as the Rust lanes carry it out: to hold plans against FastAPI itself."""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from bimetal.compile import BodyPlan, ParamPlan, RoutePlan

CANONICAL = {
    "str": (r"(?s:.*)", str),
    "int": (r"0|-?[1-9][0-9]{0,17}", int),
    "float": (r"-?[0-9]{1,15}\.[0-9]{1,15}|-?[0-9]{1,15}", float),
    "bool": (r"true|false", lambda text: text == "true"),
}


class TakeAsgi(Exception):
    """The request does not fit the plan."""


class PlanRunner:
    """An ASGI application that answers by the plans, and by the application where none fits."""

    def __init__(self, app: Any, plans: list[RoutePlan]) -> None:
        self.app = app
        self.routes = [(compile_path(plan.path)[0], plan) for plan in plans]
        #: The lane of each request, in order.
        self.lanes: list[str] = []

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
            self.lanes.append("asgi")
            await self.app(scope, receive, send)
            return
        body = await Request(scope, receive).body()

        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Any:
            return parts.pop() if parts else await receive()

        untouched = copy.copy(scope)
        try:
            arguments = arguments_of(plan, match.groupdict(), scope, body)
        except TakeAsgi:
            self.lanes.append("asgi")
            await self.app(untouched, replayed, send)
            return
        self.lanes.append(plan.lane)
        await respond(plan, arguments)(untouched, replayed, send)


def arguments_of(plan: RoutePlan, path: dict[str, str], scope: Any, body: bytes) -> dict[str, Any]:
    """The handler's keyword arguments."""
    request = Request(scope)
    sources = {
        "path": path,
        "query": dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        "header": request.headers,
        "cookie": request.cookies,
    }
    values = {}
    for param in plan.params:
        values[param.keyword] = param_value(param, sources[param.source])
    if plan.body is not None:
        values[plan.body.keyword] = body_value(plan.body, scope, body)
    return values


def param_value(param: ParamPlan, source: Mapping[str, str]) -> Any:
    """The value of one parameter."""
    if param.alias not in source:
        return absent(param)
    text = source[param.alias]
    if param.kind == "validator":
        return validated(param, text)
    pattern, convert = CANONICAL[param.kind]
    if not re.fullmatch(pattern, text):
        raise TakeAsgi
    return convert(text)


def body_value(plan: BodyPlan, scope: Any, body: bytes) -> Any:
    """The value of the body parameter."""
    if not body:
        return absent(plan)
    content_type = Request(scope).headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise TakeAsgi
    try:
        data = json.loads(body)
    except ValueError:
        raise TakeAsgi from None
    return validated(plan, data)


def validated(plan: Any, value: Any) -> Any:
    """The plan's validator on a value; a refusal is FastAPI's to word."""
    try:
        return plan.validate(value)
    except Exception:
        raise TakeAsgi from None


def absent(plan: Any) -> Any:
    """What stands in for a missing value."""
    if plan.required:
        raise TakeAsgi
    return plan.default_factory() if plan.default_factory is not None else plan.default


def respond(plan: RoutePlan, arguments: dict[str, Any]) -> Any:
    """The ASGI application that calls the handler and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            result = plan.handler(**arguments)
            if plan.lane == "async":
                assert inspect.isawaitable(result)
                result = await result
            outcome = result if isinstance(result, Response) else rendered(plan, result)
        except Exception as error:
            await plan.replay(error)(scope, receive, send)
            return
        if outcome is result:
            outcome = plan.replay(result)
        await outcome(scope, receive, send)

    return app


def rendered(plan: RoutePlan, result: Any) -> Response:
    """The response for a plain result."""
    from fastapi.encoders import jsonable_encoder

    response = plan.response
    if response.validate is None:
        return JSONResponse(jsonable_encoder(result), status_code=response.status)
    try:
        value = response.validate(result)
    except ValidationError as error:
        raise response.invalid(error, result) from None
    return Response(response.to_json(value), status_code=response.status, media_type="application/json")
