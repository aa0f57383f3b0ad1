"""Task groups and cancel scopes of dependencies around a handler: entered and left in the task that runs the handler."""

from __future__ import annotations

import pytest

from harness.journal import Journal

APP = "cancelling:app"

TARGETS = [
    "/group", "/group/function", "/group/sync", "/group/stream", "/group/cancelled", "/group/child-fails",
    "/group/child-fails-later", "/group/handler-fails", "/scope", "/scope/cancelled", "/scope/function",
    "/scope/no-checkpoint", "/limit", "/limit/function", "/expired/async", "/expired/sync", "/task", "/cancels-itself",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_scopes_around_a_handler(journal: Journal, target: str) -> None:
    for _ in range(2):
        journal.same("GET", target)


def test_absolute_order(journal: Journal) -> None:
    assert journal.same("GET", "/group/function").events == [
        "handler", "group waits", "child starts", "child ends", "group left", "end",
    ]  # fmt: skip
    told = journal.same("GET", "/scope/cancelled")
    assert told.reply.status == 500 and told.events == ["cancelled", "moved on True", "end"]
    assert journal.same("GET", "/limit").reply.status == 504
    assert journal.same("GET", "/task").reply.json() == [True, True, True]
