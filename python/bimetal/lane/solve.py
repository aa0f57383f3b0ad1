"""Carrying out the steps of an operation: what FastAPI's `solve_dependencies` does, over a list made in advance."""

from __future__ import annotations

from typing import Any

from fastapi import BackgroundTasks
from fastapi._compat.v2 import _regenerate_error_with_loc
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.security import SecurityScopes
from pydantic_core import PydanticUndefined, ValidationError
from starlette.responses import Response

from bimetal.compile.plan import StepPlan
from bimetal.lane.exchange import Exchange, run_here
from bimetal.lane.exits import enter

_ABSENT: Any = object()


async def solve(
    exchange: Exchange, steps: tuple[StepPlan, ...], body: Any, embed: bool
) -> tuple[dict[str, Any], list[Any]]:
    """Run all steps but the last. The last one's arguments, and the errors of all."""
    results: list[Any] = []
    cache: dict[int, Any] = {}
    errors: list[Any] = []
    #: Steps whose result there is none of, because of errors.
    broken: set[int] = set()
    last = len(steps) - 1
    values: dict[str, Any] = {}
    for number, step in enumerate(steps):
        if step.use_cache and number != last:
            known = cache.get(step.slot, _ABSENT)
            if known is not _ABSENT:
                results.append(known)
                continue
        values, found = await _arguments(exchange, number, step, body, embed)
        errors += found
        for keyword, taken in step.takes:
            if taken in broken:
                found = errors
            elif keyword is not None:
                values[keyword] = results[taken]
        if step.request or step.response or step.background or step.security_scopes:
            _inject(exchange, step, values)
        if number == last:
            break
        if found:
            broken.add(number)
            results.append(None)
            continue
        result = await _call(exchange, step, values)
        cache.setdefault(step.slot, result)
        results.append(result)
    return values, errors


async def _call(exchange: Exchange, step: StepPlan, values: dict[str, Any]) -> Any:
    kind = step.kind
    if kind in ("generator", "async generator"):
        return await enter(exchange, step, values)
    if step.limit is not None:
        await exchange.enter_loop()
        async with step.limit.get_semaphore():
            if kind == "function":
                return await exchange.in_thread(step.call, values)
            return await step.call(**values)
    if kind == "function":
        if exchange.on_loop:
            return await exchange.in_thread(step.call, values)
        return run_here(step.call, values)
    if kind == "coroutine":
        await exchange.enter_loop()
    return await step.call(**values)


async def _arguments(
    exchange: Exchange, number: int, step: StepPlan, body: Any, embed: bool
) -> tuple[dict[str, Any], list[Any]]:
    """The step's own parameters, and what is wrong with them."""
    values: dict[str, Any] | None = None
    errors: list[Any] = []
    if not step.reads_head:
        values = {}
    elif step.params is not None and exchange.whole:
        values = exchange.call.values(number)
    if values is None:
        values = _from_head(exchange, step, errors)
    if step.reads_body:
        plan = step.body
        if plan is not None and body is not PydanticUndefined and body is not None:
            try:
                values[plan.keyword] = plan.validate(body)
            except ValidationError as error:
                errors += refused_body(error)
            return values, errors
        body_values, body_errors = await request_body_to_args(
            body_fields=step.dependant.body_params, received_body=body, embed_body_fields=embed
        )
        values.update(body_values)
        errors += body_errors
    return values, errors


def _from_head(exchange: Exchange, step: StepPlan, errors: list[Any]) -> dict[str, Any]:
    request, dependant = exchange.request, step.dependant
    values: dict[str, Any] = {}
    for fields, received in (
        (dependant.path_params, request.path_params),
        (dependant.query_params, request.query_params),
        (dependant.header_params, request.headers),
        (dependant.cookie_params, request.cookies),
    ):
        if fields:
            found, wrong = request_params_to_args(fields, received)
            values.update(found)
            errors += wrong
    return values


def refused_body(error: ValidationError) -> list[Any]:
    """What FastAPI reports of a body that is one value."""
    return _regenerate_error_with_loc(errors=error.errors(include_url=False), loc_prefix=("body",))


def _inject(exchange: Exchange, step: StepPlan, values: dict[str, Any]) -> None:
    for keyword in step.request:
        values[keyword] = exchange.request
    if step.background:
        if exchange.background is None:
            exchange.background = BackgroundTasks()
        values[step.background] = exchange.background
    if step.response:
        if exchange.response is None:
            exchange.response = _shared_response()
        values[step.response] = exchange.response
    if step.security_scopes:
        values[step.security_scopes] = SecurityScopes(scopes=list(step.scopes))


def _shared_response() -> Response:
    """The `Response` parameter: its headers, and its status where one is set, go into the response that is sent."""
    response = Response()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]
    return response
