"""The FastAPI versions whose request handling this package knows."""

from __future__ import annotations

import re

import fastapi

from bimetal.compile import reason

#: First and last minor version (both included) whose `get_request_handler` the compiler was checked against.
TESTED: tuple[tuple[int, int], tuple[int, int]] = ((0, 160), (0, 163))


def parse(version: str) -> tuple[int, int] | None:
    """Major and minor of `version`; None when it has another form.

    >>> parse("0.163.2")
    (0, 163)
    """
    match = re.match(r"(\d+)\.(\d+)(?:\.|$)", version)
    return (int(match[1]), int(match[2])) if match else None


def untested(version: str | None = None) -> str | None:
    """The reason why routes of this FastAPI version are not compiled; None when they are."""
    version = fastapi.__version__ if version is None else version
    parsed = parse(version)
    (low, high) = TESTED
    if parsed is not None and low <= parsed <= high:
        return None
    return reason.VERSION(version=version, first=f"{low[0]}.{low[1]}", last=f"{high[0]}.{high[1]}")
