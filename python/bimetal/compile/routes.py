"""From an application's routes to the list of plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import fastapi.routing
from fastapi import FastAPI
from starlette.convertors import Convertor
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from bimetal.binding import binding_of
from bimetal.body_limit import limit_of, limited
from bimetal.caching import cache_of
from bimetal.compile import application, reason
from bimetal.compile.application import limits_forms, overridden, router_obstacle
from bimetal.compile.caching import cached_plan
from bimetal.compile.edge import Recognised
from bimetal.compile.files import StaticFilesPlan, folder_plan, static_files_plan
from bimetal.compile.native import Handlers, compile_native_route, describe
from bimetal.compile.openapi import NativeOperation, native_operation
from bimetal.compile.plan import RouteLimit, RoutePlan
from bimetal.compile.reason import NotCompiled
from bimetal.compile.source import qualified_name
from bimetal.errors import RouteError
from bimetal.limits import rate_limit_of
from bimetal.static import StaticFolder

_EVERYTHING = "/{path:path}"


def compile_app(app: Any, handlers: Handlers | None = None) -> list[RoutePlan]:
    """One plan for each HTTP route of a FastAPI application, in order of matching; empty for any other application.

    What no plan matches is answered by the whole application through ASGI, as are all WebSockets.

    Args:
        app: The application.
        handlers: The native handlers there are, by name; None leaves it to the engine to find them missing.

    Raises:
        RouteError: A native route would leave something out silently, contradicts its handler, or cannot be reached.
        PluginError: A native route's handler is absent and the route has no `fallback="python"`.

    Example:
        ```python
        for plan in compile_app(app):
            print(plan.path, plan.lane, plan.reason)
        ```
    """
    return Compilation(app, handlers).plans


@dataclass
class _Found:
    """A route where it stands: itself, or seen through the routers that include it."""

    route: BaseRoute
    #: FastAPI's effective context of an included route.
    context: Any = None

    @property
    def effective(self) -> Any:
        """What has the route's path, methods and settings where it stands."""
        if self.context is None:
            return self.route
        return getattr(self.context, "starlette_route", None) or self.context


class Compilation:
    """The plans of an application, and what was met on the way; see `compile_app`."""

    def __init__(
        self,
        app: Any,
        handlers: Handlers | None = None,
        *,
        root_path: str = "",
        path_prefix: str = "",
        observer: Any = None,
        knows_scheme: bool = True,
        recorded: bool = False,
    ) -> None:
        """Read `app`.

        `root_path` is the ASGI root path of requests whose path does not start with it. `path_prefix` is one that the
        server puts before the path of each request, after the request was routed. `observer` is called with each scope
        that a compiled lane makes, and its `send`; it gives the `send` to use. `knows_scheme`: see
        `bimetal.compile.edge.recognise`. `recorded`: the server makes spans of what the application does not hear of.
        """
        self.app = app
        self._recorded = recorded
        self._knows_scheme = knows_scheme
        self.handlers = handlers
        #: Native handlers that are not there and for which the Python body runs.
        self.absent: list[str] = []
        #: The native routes, for the OpenAPI document.
        self.operations: list[NativeOperation] = []
        #: Set once a route is met whose matching is unknown: it may take any request from the routes behind it.
        self.barrier: str | None = None
        self.obstacle: str | None = None
        self._errors: Any = None
        #: The application's middleware, where compiled routes run within it.
        self.stack: Any = None
        self._observer = observer
        #: The application's middleware, divided between the server's edge and the application.
        self.edge = Recognised()
        #: Why paths of requests cannot be told from the root path before FastAPI does.
        self.unusable: str | None = None
        self.plans: list[RoutePlan] = []
        if isinstance(app, FastAPI):
            root_path = app.root_path or root_path
            self.unusable = unusable = _root_path_obstacle(root_path, path_prefix)
            self.edge = application.edge(app, knows_scheme=knows_scheme, recorded=recorded)
            self.obstacle = application.obstacle(app, self.edge) or unusable
            self.plans = list(self._compile())
            if root_path and not path_prefix and not unusable:
                # Starlette routes by the path without the root path, and takes that away only where it is there.
                self.plans = [*_prefixed(self.plans, root_path), *map(_without_files, self.plans)]

    def _compile(self) -> Iterator[RoutePlan]:
        for route in self.app.router.routes:
            why = _unreadable_include(route)
            if why is not None:
                _refuse_limits_within(route, why)
                yield self._barrier_plan(route, why)
                continue
            for found in _standing(route):
                plan = self._plan(found)
                if plan is not None:
                    plan = self._with_body_limit(plan, found)
                    yield replace(plan, rate_limit=_route_limit(found, plan))

    def _plan(self, found: _Found) -> RoutePlan | None:
        route = found.route
        if isinstance(route, WebSocketRoute) and not overridden(route, WebSocketRoute, ("matches", "__call__")):
            return None
        if type(route) is fastapi.routing.APIWebSocketRoute:
            return None
        if isinstance(route, Mount) and overridden(found.effective, Mount, ("matches", "__call__")) is None:
            return self._mount_plan(found)
        base = fastapi.routing.APIRoute if isinstance(route, fastapi.routing.APIRoute) else Route
        if not isinstance(route, Route) or overridden(route, base, ("matches", "__call__")) is not None:
            return self._barrier_plan(route, reason.DECIDES_ITSELF(route=_shown(route)))
        if isinstance(route, fastapi.routing.APIRoute):
            plan = self._api_plan(route, found)
            cache = cache_of(found.effective.endpoint)
            return cached_plan(self.app, self.edge, route, found.effective, plan, cache) if cache else plan
        effective = found.effective
        endpoint = effective.endpoint
        if cache_of(endpoint) is not None:
            raise RouteError(
                f"{describe(effective.path, _methods(effective), endpoint)}: cache: path operations only are cached; "
                "declare the route with @app.get(...)"
            )
        if binding_of(endpoint) is not None and _strict(endpoint):
            raise RouteError(
                f"{describe(effective.path, _methods(effective), endpoint)}: native handlers can be bound to path "
                "operations only; declare the route with @app.get(...) or another of FastAPI's decorators"
            )
        documentation = getattr(endpoint, "__module__", None) == "fastapi.applications"
        why = reason.DOCUMENTATION() if documentation else reason.STARLETTE_ROUTE()
        return self._asgi_plan(effective, qualified_name(endpoint), why)

    def _with_body_limit(self, plan: RoutePlan, found: _Found) -> RoutePlan:
        """The plan with the route's own limit for bodies. Raises RouteError where the server could not keep it."""
        limit = limit_of(found.route)
        if limit is None:
            if not isinstance(found.route, fastapi.routing.APIRoute):
                _refuse_limits_within(found.route, plan.reason or "")
            return plan
        where = f"{describe(plan.path, plan.methods, found.effective.endpoint)}: max_body_size= cannot be kept"
        if self.barrier is not None:
            raise RouteError(f"{where} behind {self.barrier}; declare the route earlier")
        if self.unusable is not None:
            raise RouteError(f"{where}: {self.unusable}")
        for name, convertor in getattr(found.effective, "param_convertors", {}).items():
            if not _known(convertor):
                raise RouteError(f"{where}: {reason.CONVERTOR(name=name)}")
        return replace(plan, max_body_size=limit)

    def _api_plan(self, route: fastapi.routing.APIRoute, found: _Found) -> RoutePlan:
        effective = found.effective
        methods = _methods(effective)
        name = qualified_name(effective.endpoint)
        binding = binding_of(effective.endpoint)
        absent = None
        if binding is not None:
            if self.barrier is not None and binding.fallback is None:
                where = describe(effective.path, methods, effective.endpoint)
                raise RouteError(f"{where}: a native route cannot stand behind {self.barrier}; declare it earlier")
            if self.barrier is None:
                plan = compile_native_route(
                    self.app, route, effective, methods, binding, self.handlers, recorded=self._recorded
                )
                if plan is not None:
                    if self.handlers is not None:
                        self.operations.append(native_operation(effective, methods, self.handlers[binding.name]))
                    return plan
            self.absent.append(binding.name)
            absent = reason.ABSENT(name=binding.name)
        why = self._common_reason(effective)
        if why is None:
            try:
                return self._python_plan(route, found, methods, absent)
            except NotCompiled as refusal:
                why = str(refusal)
        return self._asgi_plan(effective, name, "; ".join(filter(None, (absent, why))))

    def _python_plan(
        self, route: fastapi.routing.APIRoute, found: _Found, methods: tuple[str, ...], absent: str | None
    ) -> RoutePlan:
        # Imported here: these read internals that only the known FastAPI versions have.
        from bimetal.compile.python_route import compile_python_route
        from bimetal.lane.entry import holding
        from bimetal.lane.errors import ErrorHandling
        from bimetal.lane.operation import Within
        from bimetal.lane.stack import stack_of

        if self._errors is None:
            self._errors = ErrorHandling(self.app, self._observer)
            if self.edge.remaining:
                self.stack = stack_of(self.app)
        within = Within(
            self._errors, self.stack, len(self.edge.done), holding(self.edge), application.tracing(self.app)
        )
        plan = compile_python_route(route, found.effective, found.context, methods, within)
        if plan.operation.reads_forms and limits_forms(self.app.router):
            raise NotCompiled(reason.FORM_LIMITS)
        return replace(plan, reason="; ".join(filter(None, (absent, plan.reason))) or None)

    def _mount_plan(self, found: _Found) -> RoutePlan:
        effective = found.effective
        for path, endpoint in _marked(effective.routes, effective.path):
            if cache_of(endpoint) is not None:
                raise RouteError(
                    f"{describe(path, (), endpoint)}: cache: routes of a mounted application are not cached; "
                    "add them with include_router, or remove the cache"
                )
            if _strict(endpoint):
                raise RouteError(
                    f"{describe(path, (), endpoint)}: native routes of a mounted application are not served natively; "
                    'add them with include_router, or give them fallback="python"'
                )
        for path, folder in _static_folders(effective.routes, effective.path):
            raise RouteError(
                f"static files {path} ({folder.directory}): app.static of a mounted application is not served "
                "natively; call it on the application itself, or mount a StaticFiles"
            )
        target = getattr(effective, "_base_app", effective.app)
        plan = RoutePlan(
            path=_widened(effective.path, effective.param_convertors) + _EVERYTHING,
            methods=(),
            lane="asgi",
            name=f"{type(target).__module__}.{type(target).__qualname__}",
            reason=self._common_reason(effective) or reason.MOUNTED(),
        )
        if isinstance(effective.app, StaticFolder):
            unknown = not all(map(_known, effective.param_convertors.values()))
            behind = "a convertor of the application's own" if unknown else self.barrier
            files, bypasses = folder_plan(
                self.app, effective.path, effective.app, recorded=self._recorded, behind=behind
            )
            return replace(plan, lane="native", reason=bypasses, files=files)
        if self._common_reason(effective) is not None:
            return plan
        try:
            static = static_files_plan(
                self.app, effective, self.edge, knows_scheme=self._knows_scheme, recorded=self._recorded
            )
        except NotCompiled as refusal:
            return replace(plan, reason=str(refusal))
        return replace(plan, lane="native", reason=None, files=static) if static is not None else plan

    def _asgi_plan(self, effective: Any, name: str, why: str) -> RoutePlan:
        return RoutePlan(
            path=_widened(effective.path, effective.param_convertors),
            methods=_methods(effective),
            lane="asgi",
            name=name,
            reason=why,
        )

    def _barrier_plan(self, route: Any, why: str) -> RoutePlan:
        self.barrier = self.barrier or _shown(route)
        return RoutePlan(path=_EVERYTHING, methods=(), lane="asgi", name=_shown(route), reason=why)

    def _common_reason(self, effective: Any) -> str | None:
        if self.barrier is not None:
            return reason.BEHIND(route=self.barrier)
        for name, convertor in getattr(effective, "param_convertors", {}).items():
            if not _known(convertor):
                return reason.CONVERTOR(name=name)
        return self.obstacle


def _refuse_limits_within(route: Any, why: str) -> None:
    """Raise RouteError for a route with a limit for bodies that only the application itself can find."""
    inner: Any = next(limited([route]), None)
    if inner is not None:
        where = describe(inner.path, _methods(inner), inner.endpoint)
        raise RouteError(
            f"{where}: max_body_size= cannot be kept within {_shown(route)} ({why}); add the routes with include_router"
        )


def _route_limit(found: _Found, plan: RoutePlan) -> RouteLimit | None:
    limit = rate_limit_of(getattr(found.effective, "endpoint", None))
    if limit is None:
        return None
    scope = f"{'|'.join(plan.methods) or 'ANY'} {plan.path}"
    return RouteLimit(limit=limit or None, scope=scope)


def _root_path_obstacle(root_path: str, path_prefix: str) -> str | None:
    if path_prefix and root_path not in ("", path_prefix):
        return reason.ROOT_PATH_DIFFERS(root_path=root_path, server_root_path=path_prefix)
    if root_path and (not root_path.startswith("/") or root_path.endswith("/") or "{" in root_path):
        return reason.ROOT_PATH_FORM(root_path=root_path)
    return None


def _prefixed(plans: list[RoutePlan], root_path: str) -> Iterator[RoutePlan]:
    """The plans for requests whose path does start with the root path; what none of them takes is FastAPI's."""
    for plan in plans:
        yield replace(plan, path=root_path + plan.path)
    why = reason.UNDER_ROOT_PATH()
    yield RoutePlan(path=root_path, methods=(), lane="asgi", name="root_path", reason=why)
    yield RoutePlan(path=root_path + _EVERYTHING, methods=(), lane="asgi", name="root_path", reason=why)


def _without_files(plan: RoutePlan) -> RoutePlan:
    """The plan for requests without the root path, where a `StaticFiles` takes all of the path for a name."""
    if not isinstance(plan.files, StaticFilesPlan):
        return plan
    return replace(plan, lane="asgi", reason=reason.MOUNTED(), files=None)


def _standing(route: BaseRoute) -> Iterator[_Found]:
    """The routes behind an entry of a router: itself, or those of the router it includes."""
    iter_route_contexts = getattr(fastapi.routing, "iter_route_contexts", None)
    if iter_route_contexts is None:
        # Before this function existed, including a router copied its routes.
        yield _Found(route)
        return
    for found in iter_route_contexts([route]):
        yield _Found(found.original_route, found._route_context)


def _unreadable_include(route: BaseRoute) -> str | None:
    """Why the routes of an included router cannot be read; None when they can, and for any other route."""
    router = getattr(route, "original_router", None)
    if router is None:
        return None
    if why := router_obstacle(router):
        return why
    for inner in router.routes:
        if why := _unreadable_include(inner):
            return why
    return None


def _methods(effective: Any) -> tuple[str, ...]:
    return tuple(sorted(effective.methods or ()))


def _shown(route: Any) -> str:
    where = getattr(route, "host", None) or getattr(route, "path", None)
    return f"{type(route).__name__}({where!r})" if where else type(route).__name__


def _known(convertor: Convertor[Any]) -> bool:
    return type(convertor).__module__ == "starlette.convertors"


def _widened(path: str, convertors: dict[str, Convertor[Any]]) -> str:
    """The path with every convertor the Rust router does not know turned into one that matches at least as much."""
    for name, convertor in convertors.items():
        if not _known(convertor):
            head, _, rest = path.partition(f"{{{name}:")
            path = f"{head}{{{name}:path}}{rest.partition('}')[2]}"
    return path


def _marked(routes: Sequence[BaseRoute] | None, prefix: str) -> Iterator[tuple[str, Any]]:
    for route in routes or ():
        for found in _standing(route):
            path = prefix + (getattr(found.effective, "path", None) or "")
            endpoint = getattr(found.route, "endpoint", None)
            if endpoint is not None and (binding_of(endpoint) is not None or cache_of(endpoint) is not None):
                yield path, endpoint
            if isinstance(found.route, Mount):
                yield from _marked(found.route.routes, path)


def _static_folders(routes: Sequence[BaseRoute] | None, prefix: str) -> Iterator[tuple[str, StaticFolder]]:
    for route in routes or ():
        for found in _standing(route):
            if isinstance(found.route, Mount):
                path = prefix + found.effective.path
                if isinstance(found.route.app, StaticFolder):
                    yield path, found.route.app
                yield from _static_folders(found.route.routes, path)


def _strict(endpoint: Any) -> bool:
    binding = binding_of(endpoint)
    return binding is not None and binding.fallback is None
