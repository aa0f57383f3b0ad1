"""The table of routes and lanes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, Any

from bimetal.compile import RoutePlan

_COLOURS = {"native": "green", "sync": "cyan", "async": "cyan", "asgi": "yellow"}
_HEADERS = ("METHOD", "PATH", "LANE", "HANDLER", "REASON")


def as_json(plans: Sequence[RoutePlan]) -> list[dict[str, Any]]:
    """The routes for programs, in order of matching.

    Each is `{"path": str, "methods": [str], "lane": "native" | "sync" | "async" | "asgi", "handler": str,
    "reason": str or null}`. `methods` is empty where the route answers all of them; `handler` is the native handler's
    name on the `native` lane and the Python function's elsewhere; `reason` says what keeps the route off a faster lane,
    that FastAPI's own handler answers on its lane, or what a native route bypasses: see `bimetal.compile.reason`.
    """
    return [
        {
            "path": plan.path,
            "methods": list(plan.methods),
            "lane": plan.lane,
            "handler": _handler(plan),
            "reason": plan.reason,
        }
        for plan in plans
    ]


def print_table(plans: Sequence[RoutePlan], file: IO[str] | None = None) -> None:
    """Print the routes: as a coloured table on a terminal, as plain columns elsewhere."""
    file = sys.stdout if file is None else file
    rows: list[tuple[str, ...]] = [
        ("|".join(plan.methods) or "*", plan.path, plan.lane, _handler(plan), plan.reason or "") for plan in plans
    ]
    if file.isatty():
        _print_rich(rows, file)
    else:
        print_columns([_HEADERS, *rows], file)


def _handler(plan: RoutePlan) -> str:
    return plan.native or plan.name


def print_columns(rows: Sequence[tuple[str, ...]], file: IO[str] | None = None) -> None:
    """Print rows of the same length, each cell as wide as the widest of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=file)


def _print_rich(rows: list[tuple[str, ...]], file: IO[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in _HEADERS:
        table.add_column(header, overflow="fold")
    for method, path, lane, handler, reason in rows:
        table.add_row(
            Text(method), Text(path), Text(lane, style=_COLOURS[lane]), Text(handler), Text(reason, style="dim")
        )
    Console(file=file).print(table)
