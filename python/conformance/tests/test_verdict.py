"""What the list of expected failures lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.verdict import LIST, ListError, judge, read_list


def test_outcomes_as_listed_are_good() -> None:
    outcomes = {"a": "passed", "b": "failed", "c": "skipped", "d": "xfailed"}
    verdict = judge(list(outcomes), outcomes, {"b": "because"})
    assert verdict.good
    assert (verdict.passed, verdict.expected, verdict.skipped, verdict.xfailed) == (1, ["b"], 1, 1)


@pytest.mark.parametrize(
    ("collected", "outcomes", "expected", "problem"),
    [
        (["a", "b"], {"a": "passed", "b": "failed"}, {}, "new failure: b"),
        (["a", "b"], {"a": "passed", "b": "passed"}, {"b": "why"}, "expected to fail, but passed: b"),
        (["a", "b"], {"a": "passed", "b": "skipped"}, {"b": "why"}, "expected to fail, but skipped: b"),
        (["a"], {"a": "passed"}, {"gone": "why"}, "listed, but there is no such test: gone"),
        (["a", "b"], {"a": "passed"}, {}, "did not finish: b"),
        (["a"], {"a": "passed", "tests/broken.py": "failed"}, {}, "new failure: tests/broken.py"),
        ([], {}, {}, "no test has passed"),
    ],
)
def test_every_difference_is_a_problem(
    collected: list[str], outcomes: dict[str, str], expected: dict[str, str], problem: str
) -> None:
    verdict = judge(collected, outcomes, expected)
    assert not verdict.good
    (line,) = verdict.problems()
    assert line.startswith(problem)


def test_the_list_has_a_reason_for_each_test() -> None:
    listed = read_list()
    assert all(test.startswith("tests/") and "::" in test and reason for test, reason in listed.items())
    assert LIST.name == "expected_failures.txt"


def test_an_id_can_have_the_separator_in_it(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# note\n\nt.py::y[a | b] | because\n")
    assert read_list(file) == {"t.py::y[a | b]": "because"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("# note\n\ntests/x.py::y[a]\n", ":3: write 'TEST ID"),
        ("tests/x.py::y | \n", ":1: write 'TEST ID"),
        ("t | a\nt | b\n", ":2: t is listed already"),
    ],
)
def test_a_list_that_says_nothing_is_refused(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(ListError, match="list.txt" + error):
        read_list(file)
