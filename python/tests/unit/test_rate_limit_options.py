"""What can be said of rate limits, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI

from bimetal import APIRouter, Bimetal, RateLimit, RedisStore, rate_limit
from bimetal.compile import compile_app
from bimetal.compile.limits import plan_limits
from bimetal.styles.turboapi import TurboAPI


@pytest.mark.parametrize(
    ("text", "requests", "period"),
    [
        ("10/minute", 10, 60),
        ("10 / Minutes", 10, 60),
        ("1 per hour", 1, 3600),
        ("5/10 seconds", 5, 10),
        ("5/10s", 5, 10),
        ("7/day", 7, 86400),
        ("3/2h", 3, 7200),
    ],
)
def test_texts(text: str, requests: int, period: float) -> None:
    limit = RateLimit.parse(text)
    assert (limit.requests, limit.period) == (requests, period)


@pytest.mark.parametrize(
    "text",
    ["", "10", "ten/minute", "10/fortnight", "-1/minute", "1.5/minute", "10/", "/minute", "0/minute", "1/999 days"],
)
def test_texts_that_are_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate limit|period"):
        RateLimit.parse(text)


def test_periods() -> None:
    assert RateLimit(1, per=timedelta(minutes=2)).period == 120
    assert RateLimit(1, per=0.5).period == 0.5


async def _coroutine(request: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: RateLimit(0), ValueError, "requests=0"),
        (lambda: RateLimit(1.5), TypeError, "requests of a rate limit"),  # type: ignore[arg-type]
        (lambda: RateLimit(True), TypeError, "requests of a rate limit"),
        (lambda: RateLimit(1, burst=0), ValueError, "burst=0"),
        (lambda: RateLimit(1, per=0), ValueError, "per=0"),
        (lambda: RateLimit(1, per="century"), ValueError, "'century' is no period"),
        (lambda: RateLimit(1, key="ip"), ValueError, 'use "client"'),
        (lambda: RateLimit(1, key="header:"), ValueError, 'use "client"'),
        (lambda: RateLimit(1, key="header:a b"), ValueError, 'use "client"'),
        (lambda: RateLimit(1, key=7), TypeError, 'use "client"'),  # type: ignore[arg-type]
        (lambda: RateLimit(1, key=_coroutine), TypeError, "_coroutine is async"),  # type: ignore[arg-type]
        (lambda: RateLimit(1, name='a"b'), ValueError, "name"),
        (lambda: RedisStore("redis://", on_error="maybe"), ValueError, "on_error='maybe'"),  # type: ignore[arg-type]
        (lambda: RedisStore("redis://", timeout=0), ValueError, "timeout=0"),
        (lambda: rate_limit(10), TypeError, "10 is no rate limit"),  # type: ignore[arg-type]
        (lambda: Bimetal().get("/", rate_limit="often")(print), ValueError, "'often' is no rate limit"),
        (lambda: Bimetal().get("/", rate_limit="1/s")(partial(print)), TypeError, "written with def"),
        (lambda: Bimetal().configure_rate_limiting(requests=1, requests_per_minute=1), TypeError, "not both"),
        (lambda: Bimetal().configure_rate_limiting(requests_per_minute=1, per="hour"), TypeError, "per belongs to"),
        (lambda: Bimetal().configure_rate_limiting(exempt="/a"), TypeError, "list of paths"),
        (lambda: Bimetal().configure_rate_limiting(exempt=["a"]), ValueError, "begin with '/'"),
        (lambda: Bimetal().configure_rate_limiting(headers="all"), ValueError, "headers='all'"),  # type: ignore[arg-type]
        (lambda: Bimetal().configure_rate_limiting(store=7), TypeError, "store=7"),  # type: ignore[arg-type]
        (lambda: Bimetal().configure_rate_limiting(max_clients=0), ValueError, "max_clients=0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def handler() -> None: ...


def test_a_limit_belongs_to_one_route() -> None:
    app, router = Bimetal(), APIRouter(prefix="/shop")
    app.configure_rate_limiting(requests_per_minute=100)
    app.get("/a", rate_limit="1/minute")(handler)
    app.get("/b")(handler)
    app.get("/c", rate_limit=False)(handler)
    router.add_api_route("/d", handler, methods=["POST"], rate_limit=RateLimit(2, name="shop"))
    app.include_router(router)
    plans = compile_app(app)
    limits = plan_limits(app, plans)
    assert limits is not None
    rules = {plan.path: rule for plan, rule in zip(plans, limits.rules, strict=True)}
    assert (rules["/a"].requests, rules["/a"].scope) == (1, "GET /a")
    assert (rules["/b"].requests, rules["/b"].scope, rules["/b"].general) == (100, "*", True)
    assert rules["/c"] is None
    assert (rules["/shop/d"].requests, rules["/shop/d"].scope, rules["/shop/d"].name) == (2, "shop", "shop")
    assert rules["/openapi.json"] == limits.fallback == rules["/b"]


def test_nothing_is_limited_unless_somebody_says_so() -> None:
    app = Bimetal()
    app.get("/a")(handler)
    assert plan_limits(app, compile_app(app)) is None
    app.get("/b", rate_limit="1/minute")(handler)
    assert plan_limits(app, compile_app(app)) is not None
    app.configure_rate_limiting(enabled=False)
    assert plan_limits(app, compile_app(app)) is None
    assert plan_limits(FastAPI(), compile_app(FastAPI())) is None


def test_a_redis_need_not_be_there_for_a_later_worker() -> None:
    app = Bimetal()
    app.configure_rate_limiting(requests=1, per="hour", store="redis://127.0.0.1")
    first, later = (plan_limits(app, [], begins=begins) for begins in (True, False))
    assert first and first.redis and first.redis.required
    assert later and later.redis and not later.redis.required


def test_turboapi_has_its_own_defaults() -> None:
    app = TurboAPI()
    app.configure_rate_limiting()
    assert plan_limits(app, compile_app(app)) is None
    app.configure_rate_limiting(enabled=True)
    limits = plan_limits(app, compile_app(app))
    assert limits and limits.fallback and (limits.fallback.requests, limits.fallback.period) == (1_000_000, 60)
    app.configure_rate_limiting(True, 5, burst=1)
    limits = plan_limits(app, compile_app(app))
    assert limits and limits.fallback and (limits.fallback.requests, limits.fallback.burst) == (5, 1)
