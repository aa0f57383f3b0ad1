"""What the bridge to Python costs: JSON both ways beside other libraries, and attaching to the interpreter.

Every candidate takes its turn in each round; the ratios are those within a round, to the first candidate.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import orjson

from bimetal import _core

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

DOCUMENTS: dict[str, Any] = {
    "a small answer": {"id": 4711, "name": "Ann", "active": True},
    "an item, nested": {
        "name": "Schraubenschlüssel",
        "price": 12.5,
        "tags": ["tools", "steel"],
        "size": {"width": 3, "height": 17.25},
        "note": None,
    },
    "100 records": [
        {"id": number, "email": f"user{number}@example.com", "score": number / 7, "roles": ["reader", "writer"]}
        for number in range(100)
    ],
    "10 KB of text": {"text": 'All work and no play makes "Jack" a dull boy.\n' * 220},
}
"""As handlers return them."""

Timed = Callable[[], float]
"""Nanoseconds a call."""


def main() -> int:
    """Prints the tables; returns 0."""
    arguments = _arguments()
    seconds = arguments.seconds
    for name, document in DOCUMENTS.items():
        encoded = orjson.dumps(document)
        writers: dict[str, Callable[[], object]] = {
            "bimetal": lambda document=document: _core.dumps(document),
            "orjson": lambda document=document: orjson.dumps(document),
            "msgspec": lambda document=document: msgspec.json.encode(document),
            "json": lambda document=document: json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
        }
        readers: dict[str, Callable[[], object]] = {
            "bimetal": lambda encoded=encoded: _core.loads(encoded),
            "orjson": lambda encoded=encoded: orjson.loads(encoded),
            "msgspec": lambda encoded=encoded: msgspec.json.decode(encoded),
            "json": lambda encoded=encoded: json.loads(encoded),
        }
        _same({who: write() for who, write in writers.items()}, f"writing {name}")
        _same({who: read() for who, read in readers.items()}, f"reading {name}")
        size = f"{name}, {len(encoded):,} bytes"
        _table(
            f"Python objects to JSON: {size}", {who: _calls(call, seconds) for who, call in writers.items()}, arguments
        )
        _table(
            f"JSON to Python objects: {size}", {who: _calls(call, seconds) for who, call in readers.items()}, arguments
        )
    attachment = _attachment()
    _table(
        "attaching to the interpreter",
        {
            "a runner, which keeps its thread state": lambda: attachment.kept(20_000),
            "a thread without one": lambda: attachment.anew(20_000),
        },
        arguments,
    )
    return 0


def _same(results: dict[str, object], what: str) -> None:
    first, *others = results.values()
    if any(other != first for other in others):
        sys.exit(f"error: {what}: the candidates do not give the same")


def _calls(call: Callable[[], object], seconds: float) -> Timed:
    """Times `call` for about `seconds` at a time."""
    count = 1
    while _elapsed(call, count) < 0.01:
        count *= 2
    count = max(1, int(count * seconds / _elapsed(call, count)))
    return lambda: _elapsed(call, count) / count * 1e9


def _elapsed(call: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began


def _table(title: str, candidates: dict[str, Timed], arguments: argparse.Namespace) -> None:
    rounds = [{name: timed() for name, timed in candidates.items()} for _ in range(arguments.rounds)]
    first = next(iter(candidates))
    print(f"\n{title}\n")
    print("| | ns | x the first |\n|---|--:|--:|")
    for name in candidates:
        ratios = sorted(turn[name] / turn[first] for turn in rounds)
        spread = "" if name == first else f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"
        print(f"| {name} | {statistics.median(turn[name] for turn in rounds):,.0f} | {spread} |", flush=True)


def _attachment() -> ModuleType:
    """Builds and loads the crate that times attachments."""
    target = ROOT / "target" / "plugins"
    subprocess.run(
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--target-dir",
            target,
            "--manifest-path",
            HERE / "attachment/Cargo.toml",
        ],
        check=True,
    )
    library = target / "release" / ("libattachment.dylib" if sys.platform == "darwin" else "libattachment.so")
    spec = importlib.util.spec_from_file_location("attachment", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each candidate (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.1, help="about how long a turn takes (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
