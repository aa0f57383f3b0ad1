"""The tables at the end of a run, and the same as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bimetal.compile.reason import found_in
from conformance.verdict import Verdict

LANES = ("native", "sync", "async", "asgi")


@dataclass
class Run:
    """What the processes of a run have noted, put together."""

    #: All tests that were to run. Each process sees all of them before it takes its share.
    collected: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    engine: Counter[str] = field(default_factory=Counter)
    in_process: Counter[str] = field(default_factory=Counter)
    tests_with_requests: int = 0

    @classmethod
    def read(cls, files: Iterable[Path]) -> Run:
        """The results of all processes, from the files that the plugin has written; a crash leaves none."""
        run = cls()
        for file in files:
            if not file.exists():
                continue
            part = json.loads(file.read_text())
            run.collected = part["collected"]
            run.outcomes.update(part["outcomes"])
            run.messages.update(part["messages"])
            run.requests += part["requests"]
            run.engine.update(part["engine"])
            run.in_process.update(part["in_process"])
            run.tests_with_requests += part["tests_with_requests"]
        return run


@dataclass
class Share:
    """Requests of one kind by what answered them."""

    lanes: Counter[str] = field(default_factory=Counter)
    by_fastapi: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.lanes.values()) + sum(self.by_fastapi.values())

    @property
    def compiled(self) -> float:
        """Share answered by compiled plans, in per cent; what FastAPI's own handler answers does not count."""
        return 100 * (self.total - self.lanes["asgi"] - self.by_fastapi.total()) / self.total if self.total else 0.0

    def row(self, name: str) -> list[str]:
        numbers = [self.total, *(self.lanes[lane] for lane in LANES), self.by_fastapi.total()]
        return [name, *(f"{number:,}" for number in numbers), f"{self.compiled:.1f} %"]


def share(requests: Iterable[Mapping[str, Any]], kinds: Iterable[str]) -> Share:
    """Count the requests of these kinds."""
    counted = Share()
    for row in requests:
        if row["kind"] in kinds:
            (counted.by_fastapi if row["by_fastapi"] else counted.lanes)[row["lane"]] += row["count"]
    return counted


def reasons(requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Why requests were not answered by compiled plans, most frequent first, with a test for each reason."""
    found: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for row in requests:
        if row["lane"] == "asgi" or row["by_fastapi"]:
            key = (row["kind"], row["reason"], row["by_fastapi"])
            entry = found.setdefault(key, {**row, "count": 0})
            entry["count"] += row["count"]
    return sorted(found.values(), key=lambda entry: (-entry["count"], entry["reason"]))


def grouped(found: Iterable[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    """Count, kind and reason, with the names taken out of the reasons, so that alike ones are one."""
    groups: Counter[tuple[str, str]] = Counter()
    for row in found:
        known = found_in(row["reason"])
        reason = "; ".join(reason.shown for reason in known) if known else row["reason"]
        groups[row["kind"], reason] += row["count"]
    return [(count, kind, reason) for (kind, reason), count in groups.most_common()]


def unattributed(run: Run) -> dict[str, int]:
    """By how much the engines' own counters differ from the requests as attributed; nothing when they agree."""
    attributed: Counter[str] = Counter()
    for row in run.requests:
        attributed[row["lane"]] += row["count"]
    differences = {name: run.engine[name] - attributed[name] for name in LANES}
    return {name: difference for name, difference in differences.items() if difference}


def as_json(version: str, run: Run, verdict: Verdict, expected: Mapping[str, str]) -> dict[str, Any]:
    """Everything, for programs."""
    groups = {"operation": ("operation",), "other": ("other",), "unrouted": ("unrouted",), "websocket": ("websocket",)}
    return {
        "fastapi": version,
        "good": verdict.good,
        "problems": list(verdict.problems()),
        "tests": {
            "passed": verdict.passed,
            "failed": len(verdict.new_failures),
            "expected_failures": {test: expected[test] for test in verdict.expected},
            "xfailed": verdict.xfailed,
            "skipped": verdict.skipped,
            "with_requests": run.tests_with_requests,
        },
        "requests": {
            name: {"total": one.total, **{lane: one.lanes[lane] for lane in LANES}, "by_fastapi": one.by_fastapi}
            for name, one in ((name, share(run.requests, kinds)) for name, kinds in groups.items())
        },
        "asgi_reasons": [
            {key: row[key] for key in ("count", "kind", "by_fastapi", "reason", "example")}
            for row in reasons(run.requests)
        ],
        "engine": run.engine,
        "unattributed": unattributed(run),
        "in_process": run.in_process,
        "messages": {test: run.messages[test] for test in verdict.new_failures if test in run.messages},
    }


def as_text(version: str, run: Run, verdict: Verdict, expected: Mapping[str, str]) -> str:
    """Everything, for people."""
    return "\n".join(_lines(version, run, verdict, expected)) + "\n"


def _lines(version: str, run: Run, verdict: Verdict, expected: Mapping[str, str]) -> Iterator[str]:
    yield f"FastAPI {version}: its own tests, served by Bimetal"
    yield ""
    counts = [
        ("passed", verdict.passed),
        ("failed", len(verdict.new_failures)),
        ("failed as expected", len(verdict.expected)),
        ("marked xfail by FastAPI", verdict.xfailed),
        ("skipped", verdict.skipped),
        ("all", len(set(run.collected) | set(run.outcomes))),
    ]
    yield from _table(["tests", ""], [[name, f"{number:,}"] for name, number in counts])
    yield ""
    kinds = [
        ("path operations", ("operation",)),
        ("documentation, mounts, plain routes", ("other",)),
        ("what no plan takes", ("unrouted",)),
        ("WebSocket sessions", ("websocket",)),
        ("all", ("operation", "other", "unrouted", "websocket")),
    ]
    rows = [share(run.requests, kinds).row(name) for name, kinds in kinds]
    yield from _table(["requests to", "all", *LANES, "FastAPI", "compiled"], rows)
    yield f"Sent by {run.tests_with_requests:,} of the tests."
    yield "FastAPI: its own request handler answered, called by the lane."
    if differences := unattributed(run):
        yield "The engines counted differently: " + ", ".join(f"{k} {v:+}" for k, v in differences.items())
    if run.in_process:
        past = ", ".join(f"{name} {count:,} times" for name, count in sorted(run.in_process.items()))
        yield f"Past Bimetal, by tests that use it on purpose: {past}."
    yield ""
    why = grouped(reasons(run.requests))
    yield from _table(["requests", "to", "not compiled because"], [[f"{n:,}", kind, reason] for n, kind, reason in why])
    yield "Capitals stand for names; --json FILE has each reason as it is, and a test that met it."
    if verdict.expected:
        yield ""
        yield from _table(["expected failure", "because"], [[test, expected[test]] for test in verdict.expected])
    problems = list(verdict.problems())
    if problems:
        yield ""
        yield from problems
        for test in verdict.new_failures:
            yield f"  {test}: {run.messages.get(test, '')}"


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Columns of text; those of numbers are aligned to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    numeric = [all(row[column][:1].isdigit() or not row[column] for row in rows) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(cells).rstrip()
