"""The run finds what it is there to find, and makes it small."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable

import pytest

from differential.explore import Difference
from differential.operations import operations
from differential.run import run_application, shares

HONEST = "differential.tests.tampered:honest"


def differences(other: str, cases: int = 80) -> list[Difference]:
    shared = [cases] * len(operations(HONEST))
    served = run_application(HONEST, shared, 0, queue.Queue(), f"differential.tests.tampered:{other}")
    assert not served.failure
    return served.differences


def test_the_same_application_twice_has_no_difference() -> None:
    assert differences("honest") == []


@pytest.mark.parametrize(
    ("tampered", "operation", "small"),
    [
        ("first_cookie", "GET /cookie", lambda one: (one.request.header(b"cookie") or b"").count(b"session=") == 2),
        ("short_numbers", "GET /number", lambda one: one.request.target.startswith(b"/number?value=")),
        ("other_order", "GET /fields", lambda one: one.request.target in (b"/fields", b"/fields?")),
        ("other_status", "POST /body", lambda one: json.loads(one.reference.body)["detail"]),
    ],
)
def test_a_mistake_is_found_and_made_small(
    tampered: str, operation: str, small: Callable[[Difference], object]
) -> None:
    (found,) = differences(tampered)
    assert found.operation == operation
    assert not found.unsteady
    assert found.lane
    assert small(found), found.request
    # Nothing is left of the fields and the body that do not matter.
    assert len(found.request.wire()) < 150


def test_the_cases_are_shared_out_to_the_last() -> None:
    found = shares(20_000, ("errors:app", "errors:plain", "layers:cors"))
    assert sum(sum(counts) for counts in found.values()) == 20_000
    assert max(max(counts) for counts in found.values()) - min(min(counts) for counts in found.values()) <= 1
