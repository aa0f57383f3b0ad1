"""Why a route is where it is: every reason that `bimetal routes` can show, with what is behind it and what to do.

The compiler takes its texts from here, and the table of docs/guide/lanes.md is made from here (`make docs-lanes`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

#: What a reason is about, as the guide groups them: the application and with it all its routes; where a route stands;
#: the route itself, which is on the `asgi` lane then; a handler that FastAPI's own code runs on the `async` lane; a
#: native route; a route with a cache.
About = Literal["application", "place", "route", "handler", "native", "cache"]

_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Reason:
    """One reason, with `{names}` in its text.

    Example:
        ```python
        DECIDES_ITSELF(route="Host('a.org')")  # "Host('a.org') decides for itself what it matches"
        ```
    """

    about: About
    text: str
    #: What is behind it.
    meaning: str
    #: What a user can do.
    advice: str

    def __call__(self, **names: object) -> str:
        """The text, with names in it."""
        return self.text.format(**names)

    @property
    def shown(self) -> str:
        """The text without names: capitals stand for them."""
        return _NAME.sub(lambda match: match[1].upper(), self.text)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches its texts."""
        parts = _NAME.split(self.text)
        return re.compile("".join("(.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)))


class NotCompiled(Exception):
    """Raised while a route is compiled: only FastAPI itself can answer it."""

    def __init__(self, reason: Reason, **names: object) -> None:
        super().__init__(reason(**names))


def found_in(text: str) -> tuple[Reason, ...]:
    """The reasons a route's text is made of; none where it holds anything else.

    >>> [reason.about for reason in found_in("mounted application")]
    ['place']
    >>> [reason.about for reason in found_in("given to the server; bypasses middleware:A")]
    ['native', 'native']
    """
    # The most specific first: a text without names can match a pattern of little else than names.
    specific = sorted(REASONS, key=lambda reason: len(_NAME.sub("", reason.text)), reverse=True)
    for reason in specific:
        if reason.pattern.fullmatch(text):
            return (reason,)
    for reason in specific:
        match = reason.pattern.match(text)
        rest = text[match.end() :] if match else ""
        if rest.startswith("; ") and (others := found_in(rest[2:])):
            return (reason, *others)
    return ()


VERSION = Reason(
    "application",
    "{package} {version} is outside the versions Bimetal compiles ({versions}); install one of those",
    "How FastAPI and Starlette handle a request is read from their own code, which other versions may have changed.",
    "Install one of those versions, or a newer Bimetal. The server itself runs with all of them.",
)
PATCHED = Reason(
    "application",
    "{module} has replaced {owner}.{function}",
    "A library has patched a function on FastAPI's way of a request, and has to see every request.",
    "Leave that library out where speed counts more, or have it use a middleware.",
)
CLASS_REPLACES = Reason(
    "application",
    "{subclass}.{method} replaces {base}.{method}",
    "A subclass of FastAPI, or of the router that is named, does something of its own with each request.",
    "Put that work into a dependency or a middleware, and use the class as it is.",
)
REPLACED_ON_INSTANCE = Reason(
    "application",
    "{method} was replaced on this {base}",
    "The application, or one of its routers, has another function in the place of the class's own.",
    "Put that work into a dependency or a middleware.",
)
ROUTER_CLASS = Reason(
    "application",
    "the router is a {router}, not a fastapi.APIRouter",
    "Only a router of FastAPI has its routes in a list, in the order in which they match.",
    "Use `fastapi.APIRouter` or `bimetal.APIRouter`.",
)
ROUTER_MIDDLEWARE = Reason(
    "application",
    "the router has middleware of its own",
    "Something was put around the routes of a router: it has another `middleware_stack` than its own.",
    "Give the middleware to the application (`add_middleware`), or use `dependencies=` of the router.",
)
MIDDLEWARE_BUILT = Reason(
    "application",
    "the application has built its middleware before a server was made",
    "Another test client or server has called the application, and its middleware may hold what that has left in it.",
    "Make the server first, or make the application anew for it.",
)
MAX_BODY_SIZE = Reason(
    "application",
    "the application has a max_body_size; use the server's --max-body",
    "A limit of the application's own would be kept by a middleware.",
    "Give the server the limit: `--max-body`, or `max_body_size=` of `app.run` and `Server`.",
)
FORM_LIMITS = Reason(
    "route",
    "the form has limits of the route or of a router",
    "FastAPI keeps the limits of a form on its own way to the route.",
    "Nothing where they are needed; the server's `--max-body` limits every body.",
)
STACK_REPLACED = Reason(
    "application",
    "the application's middleware stack was replaced by a {stack}",
    "Something was put around the application's stack, past `add_middleware`.",
    "Add it with `add_middleware`, or put it around the application that only other servers are given.",
)
ROOT_PATH_DIFFERS = Reason(
    "application",
    "the application's root_path '{root_path}' is not the server's '{server_root_path}'",
    "Both say under which path a proxy publishes the application, and do not agree.",
    "Give it once, to the server: `--root-path`.",
)
ROOT_PATH_FORM = Reason(
    "application",
    "root_path '{root_path}' is not of the form /path",
    "Requests whose path begins with the root path are routes of their own.",
    "Begin it with a slash, and do not end it with one: `/api`.",
)

DOCUMENTATION = Reason(
    "place",
    "documentation page of FastAPI",
    "`/docs`, `/redoc` and the OpenAPI document are routes that FastAPI adds.",
    "Nothing: they are asked for rarely. `FastAPI(openapi_url=None)` leaves them out.",
)
STARLETTE_ROUTE = Reason(
    "place",
    "Starlette route that takes the Request",
    "A route made by Starlette's `Route` or `add_route` calls its function with the request and does the rest itself.",
    "Make it a path operation: `@app.get(...)`, with a `Request` parameter where it needs one.",
)
MOUNTED = Reason(
    "place",
    "mounted application",
    "What is mounted is an ASGI application of its own, with routes of its own.",
    "Include routers (`include_router`) instead of mounting a second FastAPI.",
)
FILES_WITHIN = Reason(
    "place",
    "static files within middleware {names}",
    "Middleware that is not done at the server's edge has to see the requests for files as well.",
    "Serve the files with an application that has none of it, or leave it out.",
)
FILES_TELEMETRY = Reason(
    "place",
    "static files whose requests FastAPI's telemetry records",
    "FastAPI's own telemetry hears only of what the application answers.",
    "Serve with `--otel`: the server then records these requests itself.",
)
FILES_VERSION = Reason(
    "place",
    "static files of Starlette {version}, and the server knows those of {versions}",
    "The server gives the answers of Starlette's `StaticFiles`, line by line, as these versions have them.",
    "Install one of those versions, or use `app.static` of Bimetal.",
)
FILES_CHANGED = Reason(
    "place",
    "static files with a {part} of the application's own",
    "Something that `StaticFiles` works with was replaced, or is of a kind that the server does not read.",
    "Use Starlette's as it is, or `app.static` of Bimetal.",
)
DECIDES_ITSELF = Reason(
    "place",
    "{route} decides for itself what it matches",
    "A route with a `matches` of its own, or a `Host`, can be asked only by calling it.",
    "Use a path operation, and let a dependency or the handler decide the rest.",
)
BEHIND = Reason(
    "place",
    "stands behind {route}, which may take its requests; declare it earlier",
    "Routes match in order, and it is not known which requests the named one takes.",
    "Declare this route before that one.",
)
CONVERTOR = Reason(
    "place",
    "path parameter '{name}' has a convertor of the application's own",
    "The server's router knows Starlette's convertors only.",
    "Use `str`, `int`, `float`, `path` or `uuid`, and let the parameter's type check the rest.",
)
UNDER_ROOT_PATH = Reason(
    "place",
    "under root_path",
    "Requests below the application's root path that none of its routes takes: 404, redirects, mounts.",
    "Nothing: its routes have rows of their own.",
)

ROUTE_REPLACED = Reason(
    "route",
    "APIRoute.{method} was replaced on this route",
    "The route object has another function in the place of FastAPI's.",
    "Put that work into a dependency, or into the handler by a decorator.",
)
HANDLER_REPLACED = Reason(
    "route",
    "the handler was replaced after the route was made",
    "FastAPI calls `route.dependant.call`, which is no longer the function of the route.",
    "Decorate the function before it becomes a route: put the decorator under `@app.get(...)`.",
)
HANDLER_WRAPPED = Reason(
    "route",
    "the route's handler was wrapped by {module}",
    "Something was put around what FastAPI made of the route, after it was made.",
    "Decorate the function before it becomes a route, or use a dependency.",
)

STREAMS = Reason(
    "handler",
    "streams its response, FastAPI's own handler runs it",
    "A handler with `yield`: JSON lines, server-sent events, or a stream of bytes.",
    "Nothing: what is sent costs more than the call. A `StreamingResponse` that is returned is called by the lane.",
)
OWN_HANDLER = Reason(
    "handler",
    "{route_class}.get_route_handler makes the route's handler",
    "A route class (`APIRouter(route_class=...)`) puts a function of its own around FastAPI's handler.",
    "Use a dependency or an exception handler, where one can do the same.",
)
UNKNOWN_HANDLER = Reason(
    "handler",
    "FastAPI's request handler has an unknown form",
    "The function that FastAPI made for the route is not the one of the versions Bimetal knows.",
    "Install a released FastAPI of those versions, unpatched.",
)

BYPASSES = Reason(
    "native",
    "bypasses {names}",
    "What would run around the Python function does not run around the native handler, as its `bypass` allows.",
    "Nothing, if that is meant. Otherwise take the names out of `bypass`: the start then refuses the route.",
)
GIVEN = Reason(
    "native",
    "given to the server",
    "The route comes from `--native` or `Server(native=...)`, and answers before the application's own.",
    "Nothing.",
)
ABSENT = Reason(
    "native",
    "native handler '{name}' is not available, the Python body runs",
    'No plugin provides the handler, and the route has `fallback="python"`. A second reason may follow.',
    "Load the plugin: `FastAPI(plugins=[...])` of Bimetal, or `--plugin FILE`.",
)

CACHED_BYPASSES = Reason(
    "cache",
    "answers from the cache bypass {names}",
    "What would run for each request does not run where the cache answers, as the `bypass` of its `Cache` allows.",
    "Nothing, if that is meant. Otherwise take the names out of `bypass`: the start then refuses the route.",
)

#: All of them, as the guide shows them.
REASONS: tuple[Reason, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Reason))
