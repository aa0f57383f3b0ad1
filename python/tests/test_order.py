"""The order of side effects: dependencies with `yield`, background tasks, exception handlers, and the response between them."""

from __future__ import annotations

import pytest
from order import SHAPES

from harness.journal import Journal

APP = "order:app"

OUTCOMES = ["return", "http", "known", "broken", "response", "stream", "background-fails", "invalid"]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("shape", SHAPES)
def test_dependencies_around_every_outcome(journal: Journal, kind: str, shape: str) -> None:
    for then in OUTCOMES:
        journal.same("GET", f"/{kind}/{shape}?then={then}")


def test_absolute_order(journal: Journal) -> None:
    """What the comparison stands on: the documented order, spelled out once."""
    told = journal.same("GET", "/async/mixed?then=stream")
    assert told.reply.body == b"piece 0\npiece 1\npiece 2\n"
    assert told.events == [
        "f enter nothing", "a enter nothing", "g enter nothing", "b enter nothing", "handler ['f', 'a', 'g', 'b']",
        "g resumed", "g exit", "f resumed", "f exit", "piece 0", "piece 1", "piece 2", "background",
        "b resumed", "b exit", "a resumed", "a exit", "end",
    ]  # fmt: skip
    told = journal.same("GET", "/sync/both-turn?then=broken")
    assert told.reply.json() == {"known": "turned by a"}
    assert told.events[-7:] == [
        "b saw Broken(from the handler)", "b exit", "a saw HTTPException(turned by b)", "a exit",
        "watched saw Known(turned by a)", "end", "handler of Known turned by a",
    ]  # fmt: skip
    told = journal.same("GET", "/sync/inner-swallows?then=http")
    assert told.reply.status == 500


@pytest.mark.parametrize("what", ["return", "background-fails"])
def test_the_response_is_whole_when_its_background_fails(journal: Journal, what: str) -> None:
    told = journal.same("GET", f"/async/plain?then={what}")
    assert told.reply.body == b'{"value":1}' and not told.cut
    assert "never reached" not in told.events
    assert told.events[-1] == "end"
