"""Routes with a response cache: what an answer from it would leave out, or take for the same and is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from bimetal.caching import Cache, tag_parts
from bimetal.compile import reason, versions
from bimetal.compile.application import middleware_name, telemetry_enabled
from bimetal.compile.edge import Recognised
from bimetal.compile.native import accepted, around_handler, describe
from bimetal.compile.plan import CachePlan, RoutePlan
from bimetal.errors import RouteError

#: Headers that handlers may read all the same: the first two are looked at when the answer is there, the third is part
#: of what tells answers apart.
_HARMLESS = frozenset({"if-none-match", "if-modified-since", "host"})


def cached_plan(app: FastAPI, edge: Recognised, route: Any, effective: Any, plan: RoutePlan, cache: Cache) -> RoutePlan:
    """The plan of a route with its cache.

    Raises RouteError where an answer from the cache would silently leave something out, or be another one than the
    handler's.
    """
    where = f"{describe(effective.path, plan.methods, effective.endpoint)}: cache"
    if not plan.methods or not {"GET", "HEAD"}.issuperset(plan.methods):
        raise RouteError(f"{where}: only answers to GET are kept; give the other methods a route of their own")
    if plan.lane == "asgi":
        raise RouteError(
            f"{where}: the whole application answers this route, and may do anything before its handler "
            f"({plan.reason}); remove the reason, or the cache"
        )
    if plan.reason is not None and reason.STREAMS() in plan.reason:
        raise RouteError(f"{where}: the handler streams, and only whole answers are kept; remove the cache")
    skipped = [] if plan.lane == "native" else list(_skipped(app, edge, route, effective))
    if versions.untested() is None:
        skipped += _unkeyed(cache, effective.dependant)
    skipped = list(dict.fromkeys(skipped))
    refused = [item for item in skipped if not accepted(item, tuple(cache.bypass))]
    if refused:
        listed = ", ".join(f'"{item}"' for item in refused)
        raise RouteError(
            f"{where}: answers from it would bypass {', '.join(refused)}; name what tells answers apart "
            f"(vary=, cookies=, query=), accept it with Cache(..., bypass=[{listed}]), or remove the cache"
        )
    tags = tuple(tag_parts(tag) for tag in cache.tags)
    for is_parameter, text in (part for tag in tags for part in tag):
        if is_parameter and text not in effective.param_convertors:
            raise RouteError(f"{where}: tags: the path has no parameter {text!r}")
    shown = reason.CACHED_BYPASSES(names=", ".join(skipped)) if skipped else None
    return replace(
        plan,
        reason="; ".join(filter(None, (plan.reason, shown))) or None,
        cache=CachePlan(
            pattern=effective.path,
            name=effective.name,
            ttl=cache.ttl,
            stale_while_revalidate=cache.stale_while_revalidate,
            stale_if_error=cache.stale_if_error,
            vary=tuple(cache.vary),
            cookies=tuple(cache.cookies),
            query=None if cache.query is None else tuple(cache.query),
            ignore_authorization="authorization" in cache.ignore,
            ignore_cookies="cookie" in cache.ignore,
            honour_requests=cache.honour_requests,
            statuses=tuple(cache.statuses),
            max_size=cache.max_size,
            wait=cache.wait,
            tags=tags,
            status_header=cache.status_header,
        ),
    )


def _skipped(app: FastAPI, edge: Recognised, route: Any, effective: Any) -> Iterator[str]:
    """All that runs for each request and not for one that is answered from the cache."""
    for middleware in edge.remaining:
        yield f"middleware:{middleware_name(middleware)}"
    if telemetry_enabled(app):
        yield "telemetry:opentelemetry"
    yield from around_handler(route, effective)
    for dependant in _tree(effective.dependant):
        if dependant.background_tasks_param_name:
            yield f"background:{dependant.background_tasks_param_name}"


def _unkeyed(cache: Cache, dependant: Any) -> Iterator[str]:
    """What handler and dependencies are given of a request, and does not tell its answer from another one's."""
    from fastapi.dependencies import utils

    headers = {_field_name(name) for name in (*cache.vary, *_HARMLESS)}
    # Requests that have these are answered by the handler, unless something is said of them.
    if "authorization" not in cache.ignore:
        headers.add("authorization")
    if not cache.cookies and "cookie" not in cache.ignore:
        headers.add("cookie")
    for part in _tree(dependant):
        for field in utils._get_flat_fields_from_params(part.header_params):
            for _, alias in utils._get_param_aliases(field):
                if _field_name(alias) not in headers:
                    yield f"header:{_field_name(alias)}"
        for field in utils._get_flat_fields_from_params(part.cookie_params):
            for _, alias in utils._get_param_aliases(field):
                if "cookie" not in headers and alias not in cache.cookies:
                    yield f"cookie:{alias}"
        for field in utils._get_flat_fields_from_params(part.query_params):
            for _, alias in utils._get_param_aliases(field):
                if cache.query is not None and alias not in cache.query:
                    yield f"query:{alias}"


def _field_name(name: str) -> str:
    """A header's name, which a parameter may have with underscores."""
    return name.lower().replace("_", "-")


def _tree(dependant: Any) -> Iterator[Any]:
    yield dependant
    for dependency in dependant.dependencies:
        yield from _tree(dependency)
