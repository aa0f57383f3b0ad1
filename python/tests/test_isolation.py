"""Context variables: who sees what within a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contexts import SETTERS

from harness.journal import Journal, serve_journal

APP = "contexts:app"

OUTCOMES = ["return", "stream", "sync-stream", "known", "lookup"]


@pytest.fixture(scope="module")
def layered() -> Iterator[Journal]:
    with serve_journal("contexts:layered") as journal:
        yield journal


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("setter", SETTERS)
def test_who_sees_what(journal: Journal, kind: str, setter: str) -> None:
    for then in OUTCOMES:
        journal.same("GET", f"/{kind}/{setter}?then={then}&nonce={setter}")


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("setter", SETTERS)
def test_who_sees_what_under_a_middleware(layered: Journal, kind: str, setter: str) -> None:
    for then in OUTCOMES:
        layered.same("GET", f"/{kind}/{setter}?then={then}&nonce={setter}")


def test_absolute_views(journal: Journal) -> None:
    told = journal.same("GET", "/async/async?nonce=x")
    assert told.reply.json() == ["x", "x"]
    assert told.events[:3] == ["early async enter sees unset", "early sync enter sees unset", "late async enter sees x"]
    assert "async background sees x" in told.events and "early async exit sees x" in told.events
    # A thread works on a copy of the context.
    assert journal.same("GET", "/async/sync?nonce=x").reply.json() == ["unset", "unset"]
    assert "was set in another context" in journal.same("GET", "/sync/resets-sync").events
    assert "reset" in journal.same("GET", "/sync/resets-async").events
