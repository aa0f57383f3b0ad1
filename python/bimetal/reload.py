"""Replacing plugin libraries under servers that run: what has to fit, and one step for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Protocol

from bimetal._core import Host, Rebound, Reload
from bimetal.binding import HandlerInfo, PluginChange
from bimetal.compile import RoutePlan
from bimetal.compile.replacement import check_replacement
from bimetal.compile.stub import status_differences
from bimetal.errors import PluginError


class Serving(Protocol):
    """A server, as far as its native routes go."""

    @property
    def plans(self) -> list[RoutePlan]:
        """What it serves."""

    def rebind(self, reload: Reload) -> Rebound:
        """Its routes with new handlers; nothing is changed yet."""

    def publish(self, rebound: Rebound) -> None:
        """Serve by these."""

    def describe(self, handlers: Mapping[str, HandlerInfo]) -> None:
        """Say of the routes what these handlers say."""


def reload_plugins(host: Host, servers: Iterable[Serving]) -> list[PluginChange]:
    """Take in the libraries of `host` that have changed, on all of `servers`; gives what has changed.

    Raises PluginError where a new version does not load, or does not fit the routes: then nothing is changed.
    """
    reload = host.prepare_reload()
    rebound: list[tuple[Serving, Rebound]] = []
    try:
        changes = reload.changes()
        if not changes:
            return []
        servers, handlers = list(servers), _by_name(reload.handlers())
        _check(servers, _by_name(host.handlers()), handlers)
        for server in servers:
            rebound.append((server, server.rebind(reload)))
        for server, routes in rebound:
            server.publish(routes)
        reload.commit()
        for server in servers:
            server.describe(handlers)
        return changes
    finally:
        # Whoever keeps the exception keeps this frame: nothing of the new generation may hang on that.
        for _, routes in rebound:
            routes.discard()
        reload.discard()


def _check(servers: Iterable[Serving], old: Mapping[str, HandlerInfo], new: Mapping[str, HandlerInfo]) -> None:
    """Every handler that a route is bound to has to be there, with the parameters it had."""
    problems: dict[str, list[str]] = {}
    for plan in _native_plans(servers):
        name = plan.native
        if name is None or name not in old:
            continue
        route = f"route {'|'.join(plan.methods) or 'ANY'} {plan.path}"
        found = problems.setdefault(old[name]["source"], [])
        if name not in new:
            found.append(f"{route} needs the handler {name!r}, which the new version does not have")
        elif old[name]["meta"] != new[name]["meta"]:
            meta = _meta(new[name])
            if differences := status_differences(plan.status, meta):
                found.append(f"{route}: the stub and the new handler {name!r} differ: {', '.join(differences)}")
            differences = check_replacement(_meta(old[name]), meta)
            if differences:
                found.append(f"{route}: the old and the new handler {name!r} differ: {', '.join(differences)}")
    for path, found in problems.items():
        if found:
            raise PluginError(
                f"plugin `{path}`: reload: {'; '.join(found)}; "
                "build a version that fits, or restart the server to serve this one"
            )


def _native_plans(servers: Iterable[Serving]) -> list[RoutePlan]:
    """The native routes of all servers, each once."""
    plans = {
        (plan.path, plan.methods, plan.native, plan.status): plan
        for server in servers
        for plan in server.plans
        if plan.native
    }
    return list(plans.values())


def _by_name(handlers: Iterable[HandlerInfo]) -> dict[str, HandlerInfo]:
    return {handler["name"]: handler for handler in handlers}


def _meta(handler: HandlerInfo) -> dict[str, object]:
    return dict(json.loads(handler["meta"] or "{}"))
