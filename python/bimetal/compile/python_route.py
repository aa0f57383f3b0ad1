"""One FastAPI route as a `sync` or `async` plan, where that is provably what FastAPI does with it.

Only imported for a FastAPI version that is known: it reads FastAPI's internals.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import fastapi.routing
from fastapi.dependencies.models import Dependant, _is_coroutine_callable
from fastapi.security.base import SecurityBase

from bimetal.compile.application import overridden
from bimetal.compile.body import compile_body
from bimetal.compile.params import compile_params
from bimetal.compile.plan import Lane, RoutePlan
from bimetal.compile.reason import NotCompiled
from bimetal.compile.replay import RouteReplay
from bimetal.compile.response import compile_response
from bimetal.compile.source import qualified_name

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
    "embed_body_fields",
    "is_sse_stream",
    "is_json_stream",
)
_INJECTED = (
    ("request_param_name", "Request"),
    ("websocket_param_name", "WebSocket"),
    ("http_connection_param_name", "HTTPConnection"),
    ("response_param_name", "Response"),
    ("background_tasks_param_name", "BackgroundTasks"),
    ("security_scopes_param_name", "SecurityScopes"),
)


def compile_python_route(
    route: fastapi.routing.APIRoute, effective: Any, methods: tuple[str, ...], replay: RouteReplay
) -> RoutePlan:
    """The plan of `route`; `effective` holds its settings where it stands (itself, or its context when included).

    Raises NotCompiled with the reason why only FastAPI itself can answer it.
    """
    if type(route) is not fastapi.routing.APIRoute:
        raise NotCompiled(f"route class {type(route).__name__}")
    if name := overridden(route, fastapi.routing.APIRoute, ("get_route_handler", "handle", "matches", "__call__")):
        raise NotCompiled(f"APIRoute.{name} was replaced on this route")
    settings = handler_settings(effective.app)
    dependant: Dependant = settings["dependant"]
    endpoint: Callable[..., Any] = effective.endpoint
    if settings["dependant"].call is not endpoint:
        raise NotCompiled("the handler was replaced after the route was made")
    if settings["is_sse_stream"] or settings["is_json_stream"]:
        raise NotCompiled("streams its response")
    lane = _lane(endpoint)
    if dependant.dependencies:
        raise NotCompiled(f"depends on {', '.join(dependency_names(dependant))}")
    for attribute, injected in _INJECTED:
        if getattr(dependant, attribute) is not None:
            raise NotCompiled(f"takes the {injected} (parameter {getattr(dependant, attribute)!r})")
    return RoutePlan(
        path=effective.path,
        methods=methods,
        lane=lane,
        name=qualified_name(endpoint),
        handler=endpoint,
        params=compile_params(dependant, effective.param_convertors),
        body=compile_body(dependant.body_params, settings["embed_body_fields"]),
        response=compile_response(settings, endpoint),
        replay=replay,
    )


def dependency_names(dependant: Dependant) -> list[str]:
    """The dependencies a handler waits for directly, as a reader knows them."""
    return [_dependency_name(dependency.call) for dependency in dependant.dependencies]


def handler_settings(app: Any) -> dict[str, Any]:
    """What the route's handler was built with. Raises NotCompiled when it is not the handler FastAPI builds."""
    handler = _closure(app, "request_response").get("f")
    settings = _closure(handler, "get_request_handler")
    if not all(name in settings for name in _SETTINGS):
        raise NotCompiled("FastAPI's request handler has an unknown form")
    return settings


def _closure(function: Any, made_by: str) -> dict[str, Any]:
    if (
        not isinstance(function, types.FunctionType)
        or function.__module__ != "fastapi.routing"
        or function.__qualname__ != f"{made_by}.<locals>.app"
        or hasattr(function, "__wrapped__")
    ):
        by = getattr(function, "__module__", None) or type(function).__module__
        raise NotCompiled(f"the route's handler was wrapped by {by}")
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def _lane(endpoint: Callable[..., Any]) -> Lane:
    function = endpoint.__func__ if isinstance(endpoint, types.MethodType) else endpoint
    if not isinstance(function, types.FunctionType):
        raise NotCompiled(f"the handler is a {type(endpoint).__name__}, not a function")
    unwrapped = inspect.unwrap(function)
    for candidate in (function, unwrapped):
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise NotCompiled("the handler is a generator")
    is_coroutine = _is_coroutine_callable(endpoint)
    if is_coroutine != inspect.iscoroutinefunction(function):
        raise NotCompiled("the handler is a plain function around a coroutine function")
    return "async" if is_coroutine else "sync"


def _dependency_name(call: Any) -> str:
    if isinstance(call, SecurityBase):
        return type(call).__name__
    return str(getattr(call, "__name__", None) or type(call).__name__)
