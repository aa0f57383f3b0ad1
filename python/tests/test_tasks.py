"""A handler on the `async` lane is a task like any other: time limits, groups and cancellation work in it."""

from __future__ import annotations

import pytest

from harness.compare import Pair

APP = "tasks:app"


@pytest.mark.parametrize(
    "name",
    ["move-on", "wait-for", "group", "group-fails", "gather", "cancels-itself", "state", "thread", "shielded"],
)
def test_tasks_in_a_handler(pair: Pair, name: str) -> None:
    for _ in range(3):
        assert pair.same("GET", f"/{name}").status == 200
