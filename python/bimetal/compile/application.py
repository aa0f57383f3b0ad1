"""Checks on the application as a whole: may any of its routes skip its ASGI stack?"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import fastapi
import fastapi.applications
import fastapi.routing
import starlette.applications
import starlette.routing
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware

from bimetal.compile import reason, versions
from bimetal.compile.edge import Recognised, recognise

if TYPE_CHECKING:
    from bimetal.lane.tracing import Tracing

#: Functions on FastAPI's path of a request. Instrumentation libraries replace them, and must then see every request.
_REQUEST_PATH = (
    (fastapi.routing, "get_request_handler"),
    (fastapi.routing, "request_response"),
    (fastapi.routing, "run_endpoint_function"),
    (fastapi.routing, "serialize_response"),
    (fastapi.routing, "solve_dependencies"),
    (FastAPI, "__call__"),
    (FastAPI, "build_middleware_stack"),
    (starlette.applications.Starlette, "__call__"),
    (fastapi.routing.APIRoute, "get_route_handler"),
    (fastapi.routing.APIRoute, "handle"),
    (fastapi.routing.APIRoute, "matches"),
)
_ROUTER_METHODS = ("__call__", "app", "handle", "matches")


def edge(app: FastAPI, *, knows_scheme: bool = True, recorded: bool = False) -> Recognised:
    """The application's middleware, divided between the server's edge and the application; see `recognise`.

    `recorded`: the server records what the edge answers, which FastAPI's own telemetry does not hear of.
    """
    if (
        versions.untested()
        or _patched()
        or _overridden(app, FastAPI, ("__call__", "build_middleware_stack"))
        or _body_limit(app)
        or _stack(app)
        or (telemetry_enabled(app) and not recorded)
    ):
        return Recognised(remaining=list(app.user_middleware))
    return recognise(app.user_middleware, knows_scheme=knows_scheme)


def obstacle(app: FastAPI, found: Recognised | None = None) -> str | None:
    """Why no route of `app` can be compiled; None when nothing stands in the way.

    `found` is what `edge` gives for the application: middleware that the edge does is in nobody's way.
    """
    return (
        versions.untested()
        or _patched()
        or _overridden(app, FastAPI, ("__call__", "build_middleware_stack", "routes"))
        or router_obstacle(app.router)
        or _middleware(app, edge(app) if found is None else found)
        or _body_limit(app)
        or _stack(app)
    )


def router_obstacle(router: Any) -> str | None:
    """Why the routes of `router` cannot be read as a list in order of matching; None when they can."""
    base = fastapi.routing.APIRouter
    if not isinstance(router, base):
        return reason.ROUTER_CLASS(router=type(router).__name__)
    if why := _overridden(router, base, _ROUTER_METHODS):
        return why
    stack = getattr(router, "middleware_stack", None)
    if stack is not None and not (inspect.ismethod(stack) and stack.__self__ is router and stack.__name__ == "app"):
        return reason.ROUTER_MIDDLEWARE()
    return None


def limits_forms(router: Any) -> bool:
    """Whether the router, or one that it includes, has form limits, which FastAPI applies on its way to the route."""
    if getattr(router, "form_limits", None):
        return True
    return any(
        bool(getattr(route.include_context, "form_limits", None)) or limits_forms(route.original_router)
        for route in router.routes
        if hasattr(route, "original_router")
    )


def overridden(instance: Any, base: type, names: tuple[str, ...]) -> str | None:
    """The first of `names` that `instance` or its class defines differently from `base`."""
    for name in names:
        if name in getattr(instance, "__dict__", {}):
            return name
        if inspect.getattr_static(type(instance), name, None) is not inspect.getattr_static(base, name, None):
            return name
    return None


def middleware_name(middleware: Middleware) -> str:
    """What a middleware is called in reasons and `bypass`: its class, or its function for `@app.middleware("http")`."""
    dispatch = middleware.kwargs.get("dispatch")
    target = dispatch if dispatch is not None else middleware.cls
    return str(getattr(target, "__name__", None) or type(target).__name__)


def telemetry_enabled(app: FastAPI) -> bool:
    """Whether FastAPI's own OpenTelemetry support would record requests now."""
    native = getattr(app, "_native_telemetry", None)
    return native is not None and bool(native.enabled())


def _overridden(instance: Any, base: type, names: tuple[str, ...]) -> str | None:
    name = overridden(instance, base, names)
    if name is None:
        return None
    if type(instance) is base:
        return reason.REPLACED_ON_INSTANCE(method=name, base=base.__name__)
    return reason.CLASS_REPLACES(subclass=type(instance).__name__, method=name, base=base.__name__)


def _patched() -> str | None:
    for owner, name in _REQUEST_PATH:
        function = inspect.getattr_static(owner, name, None)
        home = owner.__name__ if inspect.ismodule(owner) else owner.__module__
        if not inspect.isfunction(function) or function.__module__ not in (home, "fastapi.dependencies.utils"):
            by = getattr(function, "__module__", None) or type(function).__module__
            return reason.PATCHED(module=by, owner=owner.__name__, function=name)
    return None


def _middleware(app: FastAPI, found: Recognised) -> str | None:
    if found.remaining and app.middleware_stack is not None:
        from bimetal.lane.stack import is_built_here

        if not is_built_here(app):
            return reason.MIDDLEWARE_BUILT()
    return None


def _body_limit(app: FastAPI) -> str | None:
    # FastAPI's own layer for it is outside all other middleware.
    return reason.MAX_BODY_SIZE() if getattr(app, "max_body_size", None) is not None else None


def _stack(app: FastAPI) -> str | None:
    stack = app.middleware_stack
    if stack is not None and type(stack) is not ServerErrorMiddleware:
        return reason.STACK_REPLACED(stack=type(stack).__name__)
    return None


def tracing(app: FastAPI) -> Tracing | None:
    """FastAPI's own telemetry, where it would record requests now."""
    if not telemetry_enabled(app):
        return None
    from bimetal.lane.tracing import Tracing

    return Tracing(app)
