"""One FastAPI route as a `sync` or `async` plan, where that is provably what FastAPI does with it.

Only imported for a FastAPI version that is known: it reads FastAPI's internals.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import fastapi.routing
from fastapi import params
from fastapi.dependencies.models import Dependant

from bimetal.compile import reason
from bimetal.compile.application import overridden
from bimetal.compile.plan import DirectPlan, Lane, RoutePlan, StepPlan
from bimetal.compile.reason import NotCompiled
from bimetal.compile.response import compile_response
from bimetal.compile.source import qualified_name
from bimetal.compile.steps import compile_steps, is_plain, step_kind
from bimetal.lane.operation import BodySettings, Operation, Site, Within

#: What `get_request_handler` closes over, and thus what answers a request, whatever the route's attributes say later.
_SETTINGS = (
    "dependant",
    "body_field",
    "status_code",
    "response_class",
    "response_field",
    "response_model_include",
    "response_model_exclude",
    "response_model_by_alias",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
    "dependency_overrides_provider",
    "embed_body_fields",
    "is_sse_stream",
    "is_json_stream",
)


def compile_python_route(
    route: fastapi.routing.APIRoute, effective: Any, context: Any, methods: tuple[str, ...], within: Within
) -> RoutePlan:
    """The plan of `route`; `effective` holds its settings where it stands (itself, or its context when included).

    Raises NotCompiled with the reason why only FastAPI itself can answer it.
    """
    for name in ("handle", "matches", "__call__"):
        if overridden(route, fastapi.routing.APIRoute, (name,)):
            raise NotCompiled(reason.ROUTE_REPLACED, method=name)
    handler: Any = _closure(effective.app, "request_response").get("f")
    endpoint: Callable[..., Any] = effective.endpoint
    site = Site(route=route, context=context, within=within)
    shared = {"path": effective.path, "methods": methods, "name": qualified_name(endpoint)}
    try:
        settings = handler_settings(handler, route)
    except NotCompiled as why:
        # Whatever it is, it takes a request and gives a response.
        return RoutePlan(
            lane="async",
            reason=str(why),
            start="loop",
            body="stream",
            operation=Operation.of_handler(site, handler),
            **shared,
        )
    dependant: Dependant = settings["dependant"]
    if dependant.call is not endpoint:
        raise NotCompiled(reason.HANDLER_REPLACED)
    lane = _lane(endpoint)
    if lane is None or settings["is_sse_stream"] or settings["is_json_stream"]:
        return RoutePlan(
            lane="async",
            reason=reason.STREAMS(),
            start="loop",
            body="stream",
            operation=Operation.of_handler(site, handler),
            **shared,
        )
    steps = compile_steps(dependant, effective.param_convertors, settings["embed_body_fields"])
    response = compile_response(settings, endpoint)
    body = _body(settings)
    if body is not None and body.form and settings.get("form_limits"):
        raise NotCompiled(reason.FORM_LIMITS)

    def overridden_steps(overrides: Any) -> tuple[StepPlan, ...]:
        return compile_steps(dependant, effective.param_convertors, settings["embed_body_fields"], overrides)

    direct = None
    around = within.stack is not None or within.tracing is not None
    if not around and is_plain(steps) and response.encoded:
        direct = DirectPlan(handler=endpoint, body=steps[0].body, status=response.status or 200)
    operation = Operation(site, steps, response, body, settings["dependency_overrides_provider"], overridden_steps)
    start = _start(steps)
    operation.starts_on_runner = start == "runner"
    return RoutePlan(
        lane=lane,
        steps=steps,
        direct=direct,
        response=response,
        start="loop" if around else start,
        body=_arrival(steps, body),
        operation=operation,
        **shared,
    )


def handler_settings(handler: Any, route: Any) -> dict[str, Any]:
    """What the route's handler was built with. Raises NotCompiled when it is not the handler FastAPI builds."""
    if overridden(route, fastapi.routing.APIRoute, ("get_route_handler",)):
        raise NotCompiled(reason.OWN_HANDLER, route_class=type(route).__name__)
    settings = _closure(handler, "get_request_handler")
    if not all(name in settings for name in _SETTINGS):
        raise NotCompiled(reason.UNKNOWN_HANDLER)
    return settings


def _closure(function: Any, made_by: str) -> dict[str, Any]:
    if (
        not isinstance(function, types.FunctionType)
        or function.__module__ != "fastapi.routing"
        or function.__qualname__ != f"{made_by}.<locals>.app"
        or hasattr(function, "__wrapped__")
    ):
        by = getattr(function, "__module__", None) or type(function).__module__
        raise NotCompiled(reason.HANDLER_WRAPPED, module=by)
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def _lane(endpoint: Callable[..., Any]) -> Lane | None:
    """The lane of the handler; None for a generator, which streams."""
    kind = step_kind(endpoint)
    if kind in ("generator", "async generator"):
        return None
    return "sync" if kind == "function" else "async"


def _start(steps: tuple[StepPlan, ...]) -> Any:
    """Where the first call of the operation belongs."""
    first = next((step for step in steps if step.kind != "immediate"), steps[-1])
    return "runner" if first.kind in ("function", "generator") and first.limit is None else "loop"


def _arrival(steps: tuple[StepPlan, ...], body: BodySettings | None) -> Any:
    """How the body is to arrive."""
    if body is not None:
        return "small" if body.form else "whole"
    # What takes the Request may read the body as it comes; FastAPI's security schemes do not.
    return "stream" if any(step.request and step.kind != "immediate" for step in steps) else "whole"


def _body(settings: dict[str, Any]) -> BodySettings | None:
    field = settings["body_field"]
    if field is None:
        return None
    return BodySettings(
        form=isinstance(field.field_info, params.Form),
        strict=bool(settings.get("actual_strict_content_type", True)),
        embed=settings["embed_body_fields"],
    )
