"""`python -m load`: install the systems, check their answers, time them in turns, print the tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import report
from .install import prepare_all
from .measure import Load, Series, rounds
from .page import say, write
from .server import Broken, Server
from .systems import SYSTEMS
from .work import WORKS


def main() -> int:
    """Returns 0 when every system that could be installed answered rightly."""
    # So that the servers end with this process when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = _arguments()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"error: {tool} is missing (Debian: apt-get install wrk util-linux)", file=sys.stderr)
            return 2
    if (os.cpu_count() or 1) < 2:
        print("error: the server and the client need a core each; this machine has one", file=sys.stderr)
        return 2
    chosen = _named(arguments.systems, SYSTEMS)
    works = _named(arguments.works, WORKS)
    places, left_out = prepare_all(chosen)
    systems = [system for system in chosen if system.name in places]
    load = Load(arguments.connections, arguments.seconds, core=1)
    environment = {"LOAD_ROUTES": str(arguments.routes), "LOAD_AROUND": arguments.around}
    results: dict[str, dict[str, Series]] = {}
    wrong: list[str] = []
    with contextlib.ExitStack() as running:
        servers: list[Server] = []
        for system in systems:
            say(f"starting {system.name}")
            server = running.enter_context(Server(system, places[system.name], "0", environment))
            try:
                server.wait()
            except Broken as error:
                wrong.append(str(error))
                continue
            servers.append(server)
        for work in works:
            taking_part = []
            for server in servers:
                if work.name not in server.system.works:
                    continue
                try:
                    server.check(work)
                    taking_part.append(server)
                except Broken as error:
                    wrong.append(str(error))
            if not taking_part:
                continue
            results[work.name], failures = rounds(taking_part, work, load, arguments.rounds, say)
            wrong += failures
        memory = {server.system.name: server.memory() for server in servers}
    say("")
    text = _text(arguments, results, memory, left_out, wrong)
    print(text)
    if arguments.plot:
        report.plot(results, arguments.plot, report.machine())
    if arguments.write:
        write(arguments.write, arguments.section, text)
    return 1 if wrong else 0


def _text(
    arguments: argparse.Namespace,
    results: report.Results,
    memory: dict[str, int],
    left_out: dict[str, str],
    wrong: Sequence[str],
) -> str:
    more = f", {arguments.routes} further routes registered" if arguments.routes else ""
    lines = [
        f"{report.machine()}; {arguments.rounds} rounds of {arguments.seconds:g} s, {arguments.connections} "
        f"connections, server and client on a core each{more}. Medians; ratios round by round, with the "
        "smallest and the largest.",
        "",
        report.tables(results, arguments.base, memory),
    ]
    if left_out:
        lines += ["", *(f"- {name} is left out: {why}" for name, why in left_out.items())]
    if wrong:
        lines += ["", *(f"- not timed: {why}" for why in wrong)]
    return "\n".join(lines)


def _named(names: Sequence[str], known: Sequence) -> list:  # type: ignore[type-arg]
    if not names:
        return list(known)
    by_name = {one.name: one for one in known}
    for name in names:
        if name not in by_name:
            sys.exit(f"error: {name!r} is unknown; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--systems", type=_list, default=[], help="separated by `;`; all without")
    parser.add_argument("--works", type=_list, default=[], help="separated by `;`; all without")
    parser.add_argument("--base", default="FastAPI + uvicorn", help="the system that ratios refer to (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each system is timed (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each time (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="open at once (%(default)s)")
    parser.add_argument(
        "--routes", type=int, default=0, help="further routes that actix-web and native Bimetal register"
    )
    parser.add_argument(
        "--around", choices=("", "http", "asgi", "wrapped"), default="", help="what is around the FastAPI application"
    )
    parser.add_argument("--plot", type=Path, help="write a plot there (.svg or .png); needs matplotlib")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    parser.add_argument("--section", default="peers", help="between which marks of the page (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
