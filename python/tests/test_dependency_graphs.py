"""Graphs of dependencies: every kind of callable, the cache, scopes, places, merged validation errors, overrides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphs import KINDS, OVERRIDES

from harness.journal import Journal
from harness.wire import Headers

APP = "graphs:app"

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_callables(journal: Journal, kind: str) -> None:
    for query in ["", "?q=7", "?q=x", "?args=1&kwargs=2", "?q=101"]:
        for lane in ("sync", "async"):
            journal.same("GET", f"/kind/{lane}/{kind}{query}")


@pytest.mark.parametrize("target", ["/cache/diamond", "/cache/generators", "/cache/falsy", "/cache/first-uncached"])
def test_cache(journal: Journal, target: str) -> None:
    for _ in range(2):
        journal.same("GET", target)


def test_absolute_cache(journal: Journal) -> None:
    events = journal.same("GET", "/cache/diamond").events
    assert events.count("once") == 2 and events.count("left") == 2 and events.count("right") == 1
    # The cache keeps one entry for each computed scope.
    events = journal.same("GET", "/cache/generators").events
    assert events == ["of the application"] + ["held enter"] * 3 + ["handler"] + ["held exit"] * 3


@pytest.mark.parametrize("token", [None, "Bearer t", "Bearer none", "Basic t", "bearer  t", "Bearer"])
def test_security_scopes(journal: Journal, token: str | None) -> None:
    headers: Headers = [("Authorization", token)] if token else []
    journal.same("GET", "/scopes", headers)
    journal.same("GET", "/bearer", headers)


@pytest.mark.parametrize(
    "target", ["/places/outer/inner/1", "/places/outer/inner/x", "/again/inner/2", "/places/outer/inner/1/"]
)
def test_places_of_dependencies(journal: Journal, target: str) -> None:
    journal.same("GET", target)


@pytest.mark.parametrize(
    ("target", "headers", "body"),
    [
        ("/errors/7?a=1&d=2", [("X-B", "3"), ("Cookie", "c=4"), JSON], b'{"item": {"size": 1, "name": "n"}, "more": {"size": 2, "name": "m"}}'),
        ("/errors/x", [], None),
        ("/errors/7", [JSON], b"{}"),
        ("/errors/1?a=0&d=x", [("X-B", "b"), ("Cookie", "c=d"), JSON], b'{"item": {"size": "x"}, "more": 1}'),
        ("/errors/7?a=1&d=2", [("X-B", "3"), ("Cookie", "c=4"), JSON], b'{"item": {"size": 1, "name": "n"}}'),
        ("/errors/7?a=1&d=2", [("X-B", "3"), ("Cookie", "c=x"), JSON], b'{"item": {"size": 1, "name": "n"}, "more": {"size": 2, "name": "m"}}'),
        ("/errors/7?a=0&d=2", [("X-B", "3"), ("Cookie", "c=4"), JSON], b'{"item": {"size": 1, "name": "n"}, "more": {"size": 2, "name": "m"}}'),
        ("/errors/7?a=1&d=2", [("X-B", "x"), ("Cookie", "c=4"), JSON], b'{"item": [], "more": {"size": 2, "name": "m"}}'),
        ("/errors/7?a=1&d=2", [("X-B", "x"), JSON], b"{"),
        ("/errors/7?a=1&d=2", [("Content-Type", "text/plain")], b"{}"),
    ],
)  # fmt: skip
def test_errors_of_several_dependencies(journal: Journal, target: str, headers: Headers, body: bytes | None) -> None:
    journal.same("POST", target, headers, body)


def test_an_exception_before_or_after_an_invalid_dependency(journal: Journal) -> None:
    for target in ["/errors/raises", "/errors/invalid-before-raises"]:
        for query in ["", "?q=1", "?a=1", "?q=1&a=1", "?q=x&a=0"]:
            journal.same("GET", target + query)
    assert journal.same("GET", "/errors/raises?q=1").reply.status == 409
    # Nobody stops at the first invalid one, so the second gets to raise.
    assert journal.same("GET", "/errors/invalid-before-raises?q=1").reply.status == 409


@pytest.mark.parametrize(
    "body", [b"name=n", b"name=n&size=x", b"size=1", b"", b"name=n&size=2&extra=e", b"name=a&name=b"]
)
def test_form_in_a_dependency(journal: Journal, body: bytes) -> None:
    journal.same("POST", "/form", [FORM], body)


@pytest.fixture
def restored(journal: Journal) -> Iterator[Journal]:
    yield journal
    journal.same("POST", "/override/nothing")


TARGETS = [
    "/overridden/sync", "/overridden/sync?q=2", "/overridden/sync?size=3", "/overridden/async?size=3&q=4", "/overridden/async",
    "/overridden/scopes", "/overridden/plain?q=1", "/kind/sync/sync-function",
]  # fmt: skip


@pytest.mark.parametrize("how", ["override", "override-as-new"])
@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_while_running(restored: Journal, name: str, how: str) -> None:
    restored.same("POST", f"/{how}/{name}")
    for target in TARGETS:
        restored.same("GET", target, [("X-Word", "from a header")])
    restored.same("POST", f"/{how}/nothing")
    for target in TARGETS:
        restored.same("GET", target)


def test_absolute_override(restored: Journal) -> None:
    assert restored.same("GET", "/overridden/sync").reply.json() == "below original q"
    restored.same("POST", "/override/generator")
    told = restored.same("GET", "/overridden/sync?size=3")
    assert told.reply.json() == "below replacement 3 word"
    assert told.events == [
        "of the application",
        "replacement enter",
        "held enter",
        "below",
        "held exit",
        "replacement exit",
    ]
    assert restored.same("GET", "/overridden/sync").reply.status == 422
