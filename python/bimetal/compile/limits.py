"""Which rate limit each route of an application has: plain data, for the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bimetal.compile.plan import RoutePlan
from bimetal.errors import RouteError
from bimetal.limits import KeyOf, RateLimit, RateLimiting, RedisStore

_FIELDS = {"ietf": ("ietf",), "x": ("x",), "both": ("ietf", "x"), "none": ()}

#: What stands for the application's own limit in the store: the scope of no route.
_GENERAL = "*"


@dataclass(frozen=True)
class LimitRule:
    """One limit, taken apart."""

    #: What clients are told it is called.
    name: str
    #: What tells it from others in the store.
    scope: str
    requests: int
    #: In seconds.
    period: float
    burst: int | None
    #: The header field that is counted by, or the number of the function; the client's address where both are None.
    header: str | None
    function: int | None
    #: Whether it is the one of the whole application.
    general: bool


@dataclass(frozen=True)
class LimitPlan:
    """All limits of an application."""

    #: For each plan of a route, in order.
    rules: tuple[LimitRule | None, ...]
    #: For what no route answers.
    fallback: LimitRule | None
    #: Called with a scope, they give what a request counts for.
    functions: tuple[KeyOf, ...]
    #: `ietf`, `x`: the kinds of header fields.
    fields: tuple[str, ...]
    exempt: tuple[str, ...]
    #: Whether all workers of the machine count together.
    shared: bool
    max_clients: int
    redis: RedisStore | None


def plan_limits(app: Any, plans: Sequence[RoutePlan], *, begins: bool = True) -> LimitPlan | None:
    """The limits of the routes with these plans; None where there are none.

    `begins` is False where another worker has served before this one: it need not wait for what the first one had to
    have.

    Raises RouteError for a native route whose limit would call Python.
    """
    config: RateLimiting = getattr(app, "rate_limiting", None) or RateLimiting()
    if not config.enabled or (
        config.limit is None and not any(plan.rate_limit and plan.rate_limit.limit for plan in plans)
    ):
        return None
    functions: list[KeyOf] = []
    general = _rule(config.limit, _GENERAL, True, functions, app) if config.limit is not None else None
    rules = []
    for plan in plans:
        rule = general
        if plan.rate_limit is not None:
            limit = plan.rate_limit.limit
            rule = _rule(limit, plan.rate_limit.scope, False, functions, app) if limit is not None else None
        if plan.native is not None and rule is not None and rule.function is not None:
            raise _needs_python(plan, functions[rule.function].function)
        rules.append(rule)
    redis = config.store if isinstance(config.store, RedisStore) else None
    return LimitPlan(
        rules=tuple(rules),
        fallback=general,
        functions=tuple(functions),
        fields=_FIELDS[config.headers],
        exempt=config.exempt,
        # What Redis knows is also kept here, for when it is gone.
        shared=config.store != "process",
        max_clients=config.max_clients,
        redis=replace(redis, required=redis.required and begins) if redis is not None else None,
    )


def _rule(limit: RateLimit, scope: str, general: bool, functions: list[KeyOf], app: Any) -> LimitRule:
    number = None
    if callable(limit.key):
        known = [key.function for key in functions]
        if limit.key not in known:
            functions.append(KeyOf(limit.key, app))
            known.append(limit.key)
        number = known.index(limit.key)
    return LimitRule(
        name=limit.name or "default",
        scope=limit.name or scope,
        requests=limit.requests,
        period=limit.period,
        burst=limit.burst,
        header=limit.header,
        function=number,
        general=general,
    )


def _needs_python(plan: RoutePlan, function: Any) -> RouteError:
    name = getattr(function, "__qualname__", type(function).__name__)
    return RouteError(
        f"route {'|'.join(plan.methods) or 'ANY'} {plan.path}: its rate limit is counted by the Python function "
        f'{name}, and a native route never waits for Python; give it a limit with key="client" or key="header:NAME", '
        "exempt it with rate_limit=False, or serve it in Python"
    )
