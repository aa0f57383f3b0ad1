"""Routes answered by native handlers: what they would leave out, and whether their handler is there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.security.base import SecurityBase

from bimetal.binding import HandlerInfo, NativeBinding, has_body
from bimetal.compile.application import edge, middleware_name, overridden, router_obstacle, telemetry_enabled
from bimetal.compile.exception_handlers import unheard_handlers
from bimetal.compile.plan import RoutePlan
from bimetal.compile.reason import BYPASSES
from bimetal.compile.source import location, qualified_name
from bimetal.compile.stub import check_stub, status_differences
from bimetal.errors import PluginError, RouteError

#: The handlers that can be bound, by name.
Handlers = Mapping[str, HandlerInfo]


def compile_native_route(
    app: FastAPI,
    route: Any,
    effective: Any,
    methods: tuple[str, ...],
    binding: NativeBinding,
    handlers: Handlers | None,
    *,
    recorded: bool = False,
) -> RoutePlan | None:
    """The plan of a native route; None when its handler is absent and its Python body has to run.

    Raises RouteError when the route would silently leave something out or its stub contradicts the handler, PluginError
    when the handler is absent and nothing stands in for it.
    """
    where = describe(effective.path, methods, effective.endpoint)
    if handlers is not None and binding.name not in handlers:
        if binding.fallback == "python":
            return None
        raise PluginError(f"{where}: {unknown_handler(binding.name, handlers)}")
    handler = handlers[binding.name] if handlers is not None else None
    skipped = bypassed(app, route, effective, handler, recorded=recorded)
    refused = [item for item in skipped if not accepted(item, binding.bypass)]
    if refused:
        names = ", ".join(refused)
        listed = ", ".join(f'"{item}"' for item in refused)
        raise RouteError(
            f"{where}: the native handler {binding.name!r} would bypass {names}; "
            f"accept it with bypass=[{listed}], or serve the route in Python"
        )
    status = getattr(effective, "status_code", None)
    if status is not None and not 200 <= status <= 599:
        raise RouteError(f"{where}: status_code={status}: a native handler answers with a status code from 200 to 599")
    if handlers is not None:
        meta = json.loads(handlers[binding.name]["meta"] or "{}")
        if problem := meta.get("error"):
            raise PluginError(f"{where}: the native handler {binding.name!r} cannot be used: {problem}")
        differences = check_stub(effective, meta) + status_differences(status, meta)
        if differences:
            raise RouteError(
                f"{where}: the stub and the native handler {binding.name!r} differ: {'; '.join(differences)}"
            )
    twin = has_body(effective.endpoint)
    if binding.shadow and methods and "GET" not in methods:
        raise RouteError(f"{where}: shadow= compares GET requests, and the route answers none; remove it")
    if binding.shadow and not twin:
        raise RouteError(
            f"{where}: shadow= compares the native handler {binding.name!r} with the function's body, which is empty; "
            "write the body, or remove shadow="
        )
    return RoutePlan(
        path=effective.path,
        methods=methods,
        lane="native",
        name=qualified_name(effective.endpoint),
        reason=BYPASSES(names=", ".join(skipped)) if skipped else None,
        native=binding.name,
        twin=twin,
        shadow=binding.shadow,
        status=status,
    )


def bypassed(
    app: FastAPI, route: Any, effective: Any, handler: HandlerInfo | None, *, recorded: bool = False
) -> list[str]:
    """All that runs around the route's Python handler and not around the native one, each as `kind:name`."""
    found = bypassed_by_app(app, handler, recorded=recorded)
    return list(dict.fromkeys([*found, *around_handler(route, effective)]))


def around_handler(route: Any, effective: Any) -> list[str]:
    """All that the route itself runs around its handler, each as `kind:name`."""
    found: list[str] = []
    if type(route).__module__ != "fastapi.routing":
        found.append(f"route_class:{type(route).__name__}")
    for dependency in effective.dependant.dependencies:
        call = dependency.call
        kind = "security" if isinstance(call, SecurityBase) else "dependency"
        name = type(call).__name__ if kind == "security" else getattr(call, "__name__", type(call).__name__)
        found.append(f"{kind}:{name}")
    return found


def bypassed_by_app(app: FastAPI, handler: HandlerInfo | None, *, recorded: bool = False) -> list[str]:
    """All that the application as a whole runs around its handlers and not around a native one.

    What the server does at its edge runs before both. `recorded`: the server records native routes itself.
    """
    found: list[str] = []
    replaced = overridden(app, FastAPI, ("__call__", "build_middleware_stack"))
    if replaced is not None:
        found.append(f"application:{type(app).__name__}.{replaced}")
    found += [f"middleware:{middleware_name(middleware)}" for middleware in edge(app, recorded=recorded).remaining]
    if getattr(app, "max_body_size", None) is not None:
        found.append("limit:max_body_size")
    if router_obstacle(app.router) is not None:
        found.append(f"router:{type(app.router).__name__}")
    if telemetry_enabled(app) and not recorded:
        found.append("telemetry:opentelemetry")
    found += [f"exception_handler:{name}" for name in unheard_handlers(app, handler)]
    return found


def describe(path: str, methods: Iterable[str], endpoint: Callable[..., Any]) -> str:
    """How an error names a route: `file:line: route GET /path`."""
    return f"{location(endpoint)}: route {'|'.join(methods) or 'ANY'} {path}"


def unknown_handler(name: str, handlers: Iterable[str]) -> str:
    """One line for a native handler nobody provides, with what might have been meant."""
    known = sorted(handlers)
    near = difflib.get_close_matches(name, known, n=3)
    text = f"there is no native handler {name!r}"
    if near:
        text += f"; did you mean {' or '.join(repr(match) for match in near)}?"
    plugin, dot, _ = name.rpartition(".")
    if dot and not any(other.startswith(f"{plugin}.") for other in known):
        return f"{text}; load the plugin {plugin!r} with plugins=[...] or --plugin FILE, or install it with pip"
    if near:
        return text
    return f"{text}; known are {', '.join(known) or 'none'}"


def accepted(item: str, bypass: tuple[str, ...]) -> bool:
    """Whether a route accepts to lose this, by its kind and name or by the name alone."""
    return item in bypass or item.partition(":")[2] in bypass
