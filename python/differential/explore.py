"""Has hypothesis make requests of one operation, and find the smallest that is answered differently."""

from __future__ import annotations

import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky, HypothesisWarning

from differential.answers import Answer, differences
from differential.known import known, refused
from differential.operations import Operation
from differential.request import Request
from differential.servers import Servers

#: Examples hypothesis makes in one go: it remembers all of them, and gets slower.
_ROUND = 10
#: After so many rounds without a new request an operation has no more of them.
_IDLE_ROUNDS = 3
#: Bounds for making a request smaller: requests, and seconds.
_SHRINKS, _SHRINK_TIME = 3000, 60.0
#: Requests that uvicorn's usual parser refuses, and its other one does not.
JUDGED = "(judged by h11)"


@dataclass(frozen=True)
class Difference:
    """A request that the two servers answer differently, as small as hypothesis could make it."""

    app: str
    operation: str
    request: Request
    ours: Answer
    reference: Answer
    what: tuple[str, ...]
    #: The lane that served it, as far as Bimetal's figures tell.
    lane: str = ""
    #: It was seen once and did not come again.
    unsteady: bool = False


@dataclass
class Explored:
    """What came of an operation's requests."""

    cases: int = 0
    #: By name of the known difference.
    known: Counter[str] = field(default_factory=Counter)
    difference: Difference | None = None
    #: How often Bimetal answered with a status below 300.
    accepted: int = 0


class _Different(Exception):
    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


def compare(servers: Servers, operation: str, request: Request, explored: Explored) -> Difference | None:
    """Ask both; None when the answers are the same, or differ as they may, which is counted."""
    ours, reference = servers.ask_ours(request), servers.ask_reference(request)
    explored.accepted += ours.status is not None and ours.status < 300
    what = differences(ours, reference)
    if not what:
        return None
    judged = refused(reference)
    if judged:
        # The two parsers of uvicorn are not equally strict; an application sees what either lets through.
        reference = servers.ask_judge(request)
        what = differences(ours, reference)
        if not what:
            explored.known[JUDGED] += 1
            return None
    ask = servers.ask_judge if judged else servers.ask_reference
    if entries := known(request, ours, reference, ask):
        explored.known.update(entry.name for entry in entries)
        return None
    return Difference(servers.app, operation, request, ours, reference, tuple(what))


def explore(
    servers: Servers, operation: Operation, cases: int, first_seed: int, progress: Callable[[], object]
) -> Explored:
    """Send `cases` requests of the operation, each different from the others, unless a difference ends it before."""
    explored, sent, rounds, idle = Explored(), set[int](), 0, 0
    while explored.cases < cases and explored.difference is None and idle < _IDLE_ROUNDS:
        number = zlib.crc32(f"{first_seed} {servers.app} {operation.name} {rounds}".encode())
        before = explored.cases
        explored.difference = _round(servers, operation, cases, number, explored, sent, progress)
        rounds += 1
        idle = idle + 1 if explored.cases == before else 0
    return explored


def _round(
    servers: Servers,
    operation: Operation,
    cases: int,
    number: int,
    explored: Explored,
    sent: set[int],
    progress: Callable[[], object],
) -> Difference | None:
    failures: dict[Request, Difference] = {}
    shrinks, until = 0, 0.0

    @seed(number)
    @settings(
        max_examples=_ROUND,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(operation.requests)
    def same(request: Request) -> None:
        nonlocal shrinks, until
        if failures:
            shrinks += 1
            enough = shrinks > _SHRINKS or time.monotonic() > until or servers.ended
            if enough and request not in failures:
                return
        elif explored.cases >= cases or hash(request) in sent:
            return
        else:
            explored.cases += 1
            sent.add(hash(request))
            progress()
        difference = compare(servers, operation.name, request, Explored() if failures else explored)
        if difference is not None:
            until = until or time.monotonic() + _SHRINK_TIME
            failures.setdefault(request, difference)
            raise _Different(difference)

    try:
        with warnings.catch_warnings():
            # Hypothesis finds the strategies too long to print.
            warnings.simplefilter("ignore", HypothesisWarning)
            same()
    except _Different as different:
        return _with_lane(servers, different.difference)
    except Flaky:
        smallest = min(failures.values(), key=lambda one: len(one.request.wire()))
        return Difference(**{**vars(smallest), "unsteady": True})
    return None


def _with_lane(servers: Servers, difference: Difference) -> Difference:
    """Sends the request once more to see which lane counts it."""
    try:
        before = servers.stats()
        servers.ask_ours(difference.request)
        after = servers.stats()
    except OSError:
        return difference
    lanes = [lane for lane, count in after["requests"].items() if count > before["requests"][lane]]
    return Difference(**{**vars(difference), "lane": "/".join(lanes) or "none"})
