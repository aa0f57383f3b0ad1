"""What `Cache` takes, and how it says what is wrong; which function a route with a cache gets."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import bimetal
from bimetal import Bimetal, Cache
from bimetal.caching import ResponseCache, as_cache, cache_of, tag_parts, with_cache


def handler(a: int = 1) -> int:
    """Gives one."""
    return a


def test_a_number_is_a_time() -> None:
    assert as_cache(30) == Cache(30) == Cache(30.0)
    assert Cache(1, vary=["Accept-Language"]).vary == ("accept-language",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ttl": 0}, "ttl=0 keeps nothing"),
        ({"ttl": -1}, "ttl=-1 is no time"),
        ({"ttl": float("nan")}, "ttl=nan is no time"),
        ({"ttl": "30"}, "ttl must be a time in seconds"),
        ({"ttl": True}, "ttl must be a time in seconds"),
        ({"stale_while_revalidate": 1e12}, "is no time from 0 seconds to 10 years"),
        ({"vary": "accept"}, "vary must be a list of texts"),
        ({"vary": ["a b"]}, "'a b' is no name of a header"),
        ({"cookies": ["a;b"]}, "'a;b' is no name of a cookie"),
        ({"query": [""]}, "query must be a list of texts"),
        ({"ignore": ["cookies"]}, "'cookies' is unknown"),
        ({"statuses": [206]}, "206 is no status of a whole answer"),
        ({"statuses": [500]}, "500 is no status of a whole answer"),
        ({"max_size": -1}, "max_size=-1 is no number of bytes"),
        ({"tags": ["user:{user_id.name}"]}, "only the name of a path parameter"),
        ({"tags": ["user:{"]}, "tags: 'user:{'"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        Cache(**{"ttl": 1, **given})
    assert said in str(raised.value)


def test_what_is_no_cache() -> None:
    for wrong in (True, "30", [30]):
        with pytest.raises(TypeError, match="cache must be a Cache or a time in seconds"):
            as_cache(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not for a type"):
        Bimetal().get("/x", cache=1)(int)


def test_tags_in_parts() -> None:
    assert tag_parts("users") == ((False, "users"),)
    assert tag_parts("u:{id}/{{x}}") == ((False, "u:"), (True, "id"), (False, "/{"), (False, "x}"))


def test_a_function_keeps_what_it_is() -> None:
    """The mark is on a copy: another route of the same function has no cache."""
    marked = with_cache(handler, 30)
    assert cache_of(marked) == Cache(30) and cache_of(handler) is None
    assert (marked(3), marked.__doc__, inspect.signature(marked)) == (3, "Gives one.", inspect.signature(handler))

    class Group:
        def method(self) -> Any:
            return self

    group = Group()
    bound = with_cache(group.method, 30)
    assert bound() is group and cache_of(bound) == Cache(30) and cache_of(group.method) is None


def test_under_plain_fastapi() -> None:
    marked = bimetal.cached(Cache(5))(lambda: 1)
    assert cache_of(marked) == Cache(5)


def test_nothing_is_served() -> None:
    cache = Bimetal().cache
    assert isinstance(cache, ResponseCache)
    assert cache.invalidate("/x") is False and cache.invalidate(name="any") is False
    cache.clear()
    assert cache.stats() == {"entries": 0, "bytes": 0, "max_bytes": 0, "evicted": 0, "routes": {}}
    for wrong in ({}, {"path": "/x", "tag": "a"}, {"tag": 7}):
        with pytest.raises(TypeError, match="one of path, name= and tag="):
            cache.invalidate(**wrong)  # type: ignore[arg-type]
