"""What `def` handlers find on their thread is what they find on a worker thread of Starlette's."""

from __future__ import annotations

import pytest

from harness.compare import Pair

APP = "threads:app"


@pytest.mark.parametrize("target", ["/run/21", "/run-sync", "/no-loop", "/variable/a", "/variable/b"])
def test_the_thread_of_a_handler(pair: Pair, target: str) -> None:
    for _ in range(3):
        assert pair.same("GET", target).status == 200
