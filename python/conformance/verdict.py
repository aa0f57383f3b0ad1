"""Outcomes held against the committed list of tests that are expected to fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIST = Path(__file__).with_name("expected_failures.txt")
_SEPARATOR = " | "


class ListError(Exception):
    """The list cannot be read; the text names file and line."""


@dataclass
class Verdict:
    """What the outcomes mean."""

    passed: int = 0
    skipped: int = 0
    #: Marked as failing by the suite itself.
    xfailed: int = 0
    #: Failed as the list says.
    expected: list[str] = field(default_factory=list)
    #: Failed and not listed.
    new_failures: list[str] = field(default_factory=list)
    #: Listed, but did not fail: id and what it did.
    unexpected: dict[str, str] = field(default_factory=dict)
    #: Listed, but not in the suite.
    unknown: list[str] = field(default_factory=list)
    #: Collected, but without an outcome: the process that ran it has died.
    lost: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything went as the list says."""
        return not any(self.problems())

    def problems(self) -> Iterator[str]:
        """One line for each difference from the list."""
        for test in self.new_failures:
            yield f"new failure: {test}"
        for test, outcome in self.unexpected.items():
            yield f"expected to fail, but {outcome}: {test}; take it off {LIST.name}"
        for test in self.unknown:
            yield f"listed, but there is no such test: {test}; take it off {LIST.name}"
        for test in self.lost:
            yield f"did not finish: {test}"
        if self.passed == 0:
            yield "no test has passed: the suite did not run"


def read_list(file: Path = LIST) -> dict[str, str]:
    """Test id to reason, from lines `TEST ID | REASON`; empty lines and those that start with `#` say nothing.

    Raises ListError for a line without a reason, and for a test that is listed twice.
    """
    expected: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        # An id can have the separator in it, in the brackets of a parameter.
        test, _, reason = (part.strip() for part in line.rpartition(_SEPARATOR))
        if not test or not reason:
            raise ListError(f"{file.name}:{number}: write 'TEST ID{_SEPARATOR}REASON'")
        if test in expected:
            raise ListError(f"{file.name}:{number}: {test} is listed already")
        expected[test] = reason
    return expected


def judge(collected: Sequence[str], outcomes: Mapping[str, str], expected: Mapping[str, str]) -> Verdict:
    """Compare the outcomes (`passed`, `failed`, `skipped`, `xfailed`) of the tests that were to run with the list.

    An id with an outcome that was not collected is a module that could not be imported.
    """
    verdict = Verdict()
    for test in dict.fromkeys([*collected, *outcomes]):
        outcome = outcomes.get(test)
        if outcome is None:
            verdict.lost.append(test)
        elif outcome == "failed":
            (verdict.expected if test in expected else verdict.new_failures).append(test)
        else:
            verdict.passed += outcome == "passed"
            verdict.skipped += outcome == "skipped"
            verdict.xfailed += outcome == "xfailed"
            if test in expected:
                verdict.unexpected[test] = outcome
    known = {*collected, *outcomes}
    verdict.unknown = [test for test in expected if test not in known]
    return verdict
