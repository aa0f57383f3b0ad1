"""`python -m load.sleep`: handlers that sleep for long, on many connections, beside FastAPI under uvicorn."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import report
from .client import Client, Outcome, require_two_cores
from .install import build, prepare_all
from .page import say, write
from .server import Broken, Server
from .started import Started
from .systems import System, uvicorn

TIMEOUT = 3.0
"""Sleeps after which a request is given up."""

_SETTLE = 3.0

HANDLERS = {"`def`": "/sleep", "`async def`": "/a/sleep"}


def _bimetal(workers: int, threads: int) -> System:
    command = ("{bin}/bimetal", "run", "sleeping:app", "--port", "{port}", "--quiet", "--workers", str(workers))
    return System(
        f"bimetal, {_count(workers, 'worker')}, {_count(threads, 'I/O thread')}",
        (*command, "--io-threads", str(threads)),
    )


def _uvicorn(workers: int) -> System:
    command = (*uvicorn("sleeping:app"), "--workers", str(workers))
    return System(f"FastAPI + uvicorn, {_count(workers, 'worker')}", command, requirements="uvicorn")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


SYSTEMS = {
    **{_bimetal(workers, threads): workers for workers in (1, 4) for threads in (1, 4)},
    **{_uvicorn(workers): workers for workers in (1, 4)},
}
"""With the number of their workers."""

Results = dict[str, dict[str, Outcome]]
"""Load, then system."""


def main() -> int:
    """Returns 0 when every system that could be installed could be measured."""
    arguments = _arguments()
    require_two_cores()
    client = Client(build("client") / "load-client")
    places, left_out = prepare_all(SYSTEMS)
    systems = [system for system in SYSTEMS if system.name in places]
    results: Results = {}
    wrong: list[str] = []
    for connections in arguments.connections:
        for handler, path in HANDLERS.items():
            load = f"{handler}, {connections:,} connections"
            results[load] = {}
            for system in systems:
                say(f"{load}: {system.name}")
                try:
                    outcome = _run(system, places[system.name], client, path, connections, arguments)
                    results[load][system.name] = outcome
                except (Broken, OSError) as error:
                    wrong.append(f"{load}: {system.name}: {error}")
    say("")
    text = _text(arguments, results, left_out, wrong)
    print(text)
    if arguments.write:
        write(arguments.write, "sleep", text)
    return 1 if wrong else 0


def _run(
    system: System, places: dict[str, str], client: Client, path: str, connections: int, arguments: argparse.Namespace
) -> Outcome:
    with Started() as started:
        environment = {**started.environment, "LOAD_SLEEP": str(arguments.sleep)}
        with Server(system, places, "0", environment) as server:
            server.wait()
            started.wait_for_all(SYSTEMS[system])
            # A worker accepts a moment after its lifespan has begun; until then another would have its connections.
            time.sleep(_SETTLE)
            return client.closed(
                server,
                path,
                seconds=arguments.seconds,
                timeout=TIMEOUT * arguments.sleep,
                connections=connections,
            )


def _text(arguments: argparse.Namespace, results: Results, left_out: Mapping[str, str], wrong: Sequence[str]) -> str:
    lines = [
        f"{report.machine()}; a handler sleeps {arguments.sleep:g} s, each load lasts {arguments.seconds:g} s, "
        f"a request is given up after {TIMEOUT * arguments.sleep:g} s; the server's processes "
        "on one core, the client on another. uvicorn's thread pool has Starlette's 40 threads a worker. The mean is "
        "that of the answers; what was given up counts for the largest.",
    ]
    for load, outcomes in results.items():
        lines += ["", f"| {load} | done | timeouts | errors | mean s | max s |", "|---|--:|--:|--:|--:|--:|"]
        for name, run in outcomes.items():
            counts = f"{run.answered:,} | {run.timeouts:,} | {run.failed:,}"
            lines.append(f"| {name} | {counts} | {run.mean_ms / 1000:.2f} | {run.max_ms / 1000:.2f} |")
    if left_out:
        lines += ["", *(f"- {name} is left out: {why}" for name, why in left_out.items())]
    if wrong:
        lines += ["", *(f"- not measured: {why}" for why in wrong)]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load.sleep", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each load lasts (%(default)s)")
    parser.add_argument("--sleep", type=float, default=10.0, help="how long a handler sleeps, in seconds (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[100, 1000], help="open at once (%(default)s)")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
