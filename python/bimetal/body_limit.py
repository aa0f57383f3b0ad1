"""A route's own limit for the bodies of its requests: how it is declared, and where the compiler finds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import fastapi.routing
from starlette.routing import BaseRoute

_MARK = "bimetal_max_body_size"


def checked(limit: Any) -> int | None:
    """The value of `max_body_size=`. Raises TypeError for anything that is no number of bytes."""
    if limit is not None and (type(limit) is not int or limit < 0):
        raise TypeError(f"max_body_size={limit!r}: give a number of bytes, like 5 * 1024 * 1024")
    return limit


def set_limit(route: Any, limit: int, *, router: bool) -> None:
    """Note the limit on a route that has just been declared, on an application or on a `router`."""
    if router and not hasattr(fastapi.routing, "iter_route_contexts"):
        # Its routes are copied when it is included, and the copies know nothing of it.
        raise TypeError(
            "max_body_size= on a router needs FastAPI 0.161 or newer; declare the route on the application itself"
        )
    vars(route)[_MARK] = limit


def limit_of(route: Any) -> int | None:
    """The limit of a route; None where it is the server's."""
    limit: int | None = getattr(route, "__dict__", {}).get(_MARK)
    return limit


def limited(routes: Sequence[BaseRoute] | None, seen: tuple[int, ...] = ()) -> Iterator[BaseRoute]:
    """The routes with a limit of their own, however deep they are included or mounted; not within those of `seen`."""
    for route in routes or ():
        # An application can be mounted within itself.
        if id(route) in seen:
            continue
        if limit_of(route) is not None:
            yield route
        included = getattr(route, "original_router", None)
        inner = getattr(included if included is not None else route, "routes", None)
        yield from limited(inner, (*seen, id(route)))
