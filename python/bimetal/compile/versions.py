"""The FastAPI releases whose request handling this package knows."""

from __future__ import annotations

import re

import fastapi

from bimetal.compile import reason

#: The releases the lanes were run with, all of them: minor version to its newest patch. Patches count, because they too
#: change what the lanes call: 0.162.7 gave a function they use another parameter.
TESTED: dict[tuple[int, int], int] = {(0, 161): 1, (0, 162): 7, (0, 163): 2, (0, 165): 0}


def parse(version: str) -> tuple[int, int, int] | None:
    """Major, minor and patch of `version`; None when it has another form, as pre-releases and local builds do.

    >>> parse("0.163.2")
    (0, 163, 2)
    """
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def untested(version: str | None = None) -> str | None:
    """The reason why routes of this FastAPI version are not compiled; None when they are."""
    version = fastapi.__version__ if version is None else version
    parsed = parse(version)
    if parsed is not None and parsed[2] <= TESTED.get(parsed[:2], -1):
        return None
    return reason.VERSION(version=version, versions=_known())


def _known() -> str:
    """The tested releases for a reader: `0.163.0-0.163.2, 0.165.0`."""
    return ", ".join(
        f"{major}.{minor}.0-{major}.{minor}.{patch}" if patch else f"{major}.{minor}.0"
        for (major, minor), patch in sorted(TESTED.items())
    )
