"""Dependencies: what they return, in which order they run and end, what they do to the response."""

from __future__ import annotations

import pytest

from harness.compare import Case, Pair, case
from harness.wire import get

APP = "dependencies:app"

CASES = [
    case("GET", "/sync?q=x&skip=2"),
    case("GET", "/sync?skip=x"),
    case("GET", "/async?skip=4&size=3"),
    case("GET", "/callable?q=foobar"),
    case("GET", "/callable"),
    case("GET", "/cached"),
    case("GET", "/response"),
    case("GET", "/guarded/item"),
    case("GET", "/guarded/item", [("X-Token", "secret")], note="right"),
    case("GET", "/guarded/item", [("X-Token", "wrong")], note="wrong"),
    case("GET", "/guarded/nothing", [("X-Token", "wrong")]),
    case("GET", "/oauth"),
    case("GET", "/oauth", [("Authorization", "Bearer read")], note="read"),
    case("GET", "/oauth", [("Authorization", "Bearer x")], note="bad"),
    case("GET", "/oauth", [("Authorization", "Basic x")], note="other scheme"),
    case("GET", "/basic"),
    case("GET", "/basic", [("Authorization", "Basic YW5uOnB3")], note="ann"),
    case("GET", "/basic", [("Authorization", "Basic ???")], note="broken"),
    case("GET", "/key"),
    case("GET", "/key", [("X-Key", "k")], note="k"),
    case("GET", "/overridden"),
]


@pytest.mark.parametrize("request_", CASES, ids=str)
def test_dependencies(pair: Pair, request_: Case) -> None:
    pair.check(request_)


def events_of(pair: Pair, target: str, last: str) -> list[str]:
    """The events of one request up to `last`, which must be the same on both servers."""
    pair.same("GET", target)
    events: list[str] = pair.same("GET", f"/events?until={last.replace(' ', '%20')}").json()
    return events


@pytest.fixture(autouse=True)
def no_events_yet(pair: Pair) -> None:
    for port in pair.ports:
        get(port, "/sync")
        get(port, "/events?until=app%20dependency")


def test_resources_end_in_reverse_order_after_the_background_task(pair: Pair) -> None:
    assert events_of(pair, "/yield", last="sync exit") == [
        "app dependency", "sync enter", "async enter", "function enter", "handler async(sync) function", "function exit",
        "background", "async exit", "sync exit",
    ]  # fmt: skip


def test_resources_see_the_exception_of_the_handler(pair: Pair) -> None:
    assert pair.same("GET", "/yield?fail=1").json() == {"detail": "turned by the dependency"}
    events = pair.same("GET", "/events?until=sync%20exit").json()
    assert events[-3:] == ["async exit", "sync saw broken", "sync exit"]


def test_resources_around_a_sync_handler(pair: Pair) -> None:
    events = events_of(pair, "/yield/sync", last="sync exit")
    assert events[1:] == ["sync enter", "async enter", "sync handler", "async exit", "sync exit"]


def test_dependency_of_the_application_runs_on_every_route(pair: Pair) -> None:
    assert events_of(pair, "/sync", last="app dependency") == ["app dependency"]
    assert events_of(pair, "/guarded/item", last="app dependency") == ["app dependency"]
