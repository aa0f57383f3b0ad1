"""The JSON bridge of the extension gives what the Python code it stands for gives, value for value and byte for byte."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from bimetal._core import dumps, loads
from bimetal.compile.render import render_json

SEED = 20261120
TEXT = ["", "plain", "ü€𝄞", 'quote " back \\ slash /', "\x00\x1f\x7f\n\r\t\b\f", "\u2028", "_sa_state", "\ud800"]
NUMBERS = [0, -1, 2**63 - 1, -(2**63), 2**63, 2**70, 0.0, -0.0, 0.1, 1e16, 1e-5, 1e300, 5e-324, 123456789.123]
FRAGMENTS = [
    "0",
    "-0",
    "-0.0",
    "-0e1",
    "1.5",
    "1e400",
    "NaN",
    "-Infinity",
    "null",
    "true",
    '"a"',
    '"\\ud800"',
    "9" * 30,
]
FRAGMENTS += ["[", "]", "{", "}", ",", ":", " ", "\n", '"', "\\", "tru", "01", "-", "1.", ".5", "\ufeff"]


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 4)
    if kind < 2:
        return rng.choice(NUMBERS) if rng.random() < 0.5 else rng.uniform(-1e6, 1e6)
    if kind < 4:
        return rng.choice([*TEXT, None, True, False])
    items = [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind < 6:
        return items if rng.random() < 0.7 else tuple(items)
    return {rng.choice([*TEXT, 1, None]): item for item in items}


def outcome(function: Any, argument: Any) -> tuple[str, Any]:
    try:
        return "value", function(argument)
    except ValueError as error:
        return "error", type(error)


def test_values_are_rendered_as_fastapi_renders_them() -> None:
    rng = random.Random(SEED)
    for _ in range(5000):
        data = value(rng)
        assert outcome(dumps, data) == outcome(render_json, data), repr(data)


@pytest.mark.parametrize("indent", [None, 1])
def test_documents_are_read_as_python_reads_them(indent: int | None) -> None:
    rng = random.Random(SEED)
    for _ in range(5000):
        document = json.dumps(value(rng), indent=indent).encode()
        assert repr(loads(document)) == repr(json.loads(document)), document


def test_broken_documents_are_judged_as_python_judges_them() -> None:
    rng = random.Random(SEED)
    for _ in range(20000):
        document = "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 7))).encode()
        assert repr(outcome(loads, document)) == repr(outcome(json.loads, document)), document
