"""`python -m load.parallel`: a handler that computes, on a server that has one core, and on one that has two.

The client needs next to nothing beside such a handler, so it shares the second core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from . import report
from .install import prepare
from .measure import Load, Series, rounds
from .page import say, write
from .server import Broken, Server
from .systems import System
from .work import Work

#: Some milliseconds of computing.
_WORK = Work("GET /primes/2000", "/primes/2000", {"count": 303})
_COMMAND = ("{python}", "-m", "bimetal", "run", "computing:app", "--port", "{port}", "--quiet")
_ONE, _TWO = System("one core", _COMMAND), System("two cores", _COMMAND)


def main() -> int:
    """Returns 0 when each request was answered rightly."""
    arguments = _arguments()
    if (os.cpu_count() or 1) < 2:
        print("error: this machine has one core", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as running:
        servers = []
        for system, cores in ((_ONE, "0"), (_TWO, "0,1")):
            places = prepare(system, Path(sys.executable))
            server = running.enter_context(Server(system, places, cores, {}))
            servers.append(server)
        try:
            for server in servers:
                server.wait()
                server.check(_WORK)
            load = Load(arguments.connections, arguments.seconds, core=1)
            found, failures = rounds(servers, _WORK, load, arguments.rounds, say)
            if failures:
                raise Broken("; ".join(failures))
        except Broken as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    text = _text(arguments, found[_ONE.name], found[_TWO.name])
    print(text)
    if arguments.write:
        write(arguments.write, arguments.section, text)
    return 0


def _text(arguments: argparse.Namespace, one: Series, two: Series) -> str:
    gil = "with" if getattr(sys, "_is_gil_enabled", lambda: True)() else "without"
    head = (
        f"{report.machine()}, {gil} the GIL; {arguments.rounds} rounds of {arguments.seconds:g} s, "
        f"{arguments.connections} connections. Medians; the ratio round by round, with the smallest and the largest."
    )
    rows = ["| | requests/s | x one core | p50 ms | p99 ms |", "|---|--:|--:|--:|--:|"]
    for name, series in ((_ONE.name, one), (_TWO.name, two)):
        ratio = report.spread(series.ratios(one))
        rows.append(f"| {name} | {series.rate:,.0f} | {ratio} | {series.p50_ms:.2f} | {series.p99_ms:.2f} |")
    return "\n".join([head, "", *rows])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load.parallel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each server is timed (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each time (%(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="open at once (%(default)s)")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    parser.add_argument("--section", default="parallel", help="between which marks of the page (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
