"""The releases of FastAPI and Starlette whose request handling this package knows."""

from __future__ import annotations

import re

import fastapi
import starlette

from bimetal.compile import reason

#: The releases the lanes were run with, all of them: minor version to its newest patch. Patches count, because they too
#: change what the lanes call: 0.162.7 gave a function they use another parameter.
TESTED: dict[tuple[int, int], int] = {(0, 161): 1, (0, 162): 7, (0, 163): 2, (0, 165): 0}

#: The first and the last minor version of Starlette the lanes were run with, as FastAPI takes others, too.
STARLETTE: tuple[tuple[int, int], tuple[int, int]] = ((1, 7), (1, 10))


def parse(version: str) -> tuple[int, int, int] | None:
    """Major, minor and patch of `version`; None when it has another form, as pre-releases and local builds do.

    >>> parse("0.163.2")
    (0, 163, 2)
    """
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def untested() -> str | None:
    """The reason why routes are not compiled with the installed versions; None when they are."""
    return untested_fastapi(fastapi.__version__) or untested_starlette(starlette.__version__)


def untested_fastapi(version: str) -> str | None:
    """The reason why routes are not compiled with this FastAPI; None when they are."""
    parsed = parse(version)
    if parsed is not None and parsed[2] <= TESTED.get(parsed[:2], -1):
        return None
    return reason.VERSION(package="FastAPI", version=version, versions=_known())


def untested_starlette(version: str) -> str | None:
    """The reason why routes are not compiled with this Starlette; None when they are."""
    parsed = parse(version)
    (first, last) = STARLETTE
    if parsed is not None and first <= parsed[:2] <= last:
        return None
    known = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
    return reason.VERSION(package="Starlette", version=version, versions=known)


def _known() -> str:
    """The tested releases of FastAPI for a reader: `0.163.0-0.163.2, 0.165.0`."""
    return ", ".join(
        f"{major}.{minor}.0-{major}.{minor}.{patch}" if patch else f"{major}.{minor}.0"
        for (major, minor), patch in sorted(TESTED.items())
    )
