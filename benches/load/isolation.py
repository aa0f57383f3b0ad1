"""`python -m load.isolation`: what a probe takes while Python is occupied, under a load that waits for nobody."""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import report
from .client import Client, Outcome, require_two_cores
from .install import build, prepare_all
from .page import say, write
from .server import Broken, Server
from .started import Started
from .systems import System, granian, uvicorn
from .work import WORKS

SYSTEMS = (
    System(
        "bimetal, native /health",
        ("{bin}/bimetal", "run", "isolation_native:app", "--port", "{port}", "--io-threads", "1", "--quiet"),
    ),
    System("FastAPI + uvicorn", uvicorn("isolation_fastapi:app"), requirements="uvicorn"),
    System("FastAPI + Granian", granian("isolation_fastapi:app"), requirements="granian"),
    System("Robyn, const", ("{python}", "isolation_robyn.py", "{port}"), requirements="robyn"),
)

TIMEOUT = 2.0
"""Seconds after which a probe is given up, as a load balancer would."""

_CONNECTIONS = 64
_WARM_UP = 1.0
_PROBE = WORKS[0]
# Longer than the load, so that Python is occupied until its end.
_MORE_SECONDS = 10.0


@dataclass(frozen=True)
class Situation:
    """What goes on beside the probes: so many requests for each of these paths."""

    name: str
    requests: Mapping[str, int]


SITUATIONS = (
    Situation("40 `def` handlers compute", {"/compute": 40}),
    Situation("40 `def` handlers and an `async def` one compute", {"/compute": 40, "/a/compute": 1}),
    Situation("a C extension holds the GIL", {"/hold": 1}),
    Situation("1,000 `def` handlers block", {"/block": 1000}),
)


@dataclass
class Runs:
    """Of one system in one situation, a pair a round: idle, then occupied."""

    idle: list[Outcome] = field(default_factory=list)
    occupied: list[Outcome] = field(default_factory=list)
    started: list[int] = field(default_factory=list)


Results = dict[str, dict[str, Runs]]
"""Situation, then system."""


def main() -> int:
    """Returns 0 when every system that could be installed could be measured."""
    arguments = _arguments()
    require_two_cores()
    client = Client(build("client") / "load-client")
    places, left_out = prepare_all(SYSTEMS)
    systems = [system for system in SYSTEMS if system.name in places]
    results: Results = {situation.name: {} for situation in SITUATIONS}
    wrong: list[str] = []
    for number in range(arguments.rounds):
        for situation in SITUATIONS:
            for system in systems if number % 2 == 0 else list(reversed(systems)):
                say(f"{situation.name}, round {number + 1} of {arguments.rounds}: {system.name}")
                runs = results[situation.name].setdefault(system.name, Runs())
                try:
                    _round(system, places[system.name], situation, client, arguments, runs)
                except (Broken, OSError) as error:
                    wrong.append(f"{situation.name}: {system.name}: {error}")
    say("")
    text = _text(arguments, results, [system.name for system in systems], left_out, wrong)
    print(text)
    if arguments.write:
        write(arguments.write, "isolation", text)
    return 1 if wrong else 0


def _round(
    system: System,
    places: dict[str, str],
    situation: Situation,
    client: Client,
    arguments: argparse.Namespace,
    runs: Runs,
) -> None:
    """A process of its own, so that nothing is left of another situation; first idle, which its ratio refers to."""
    with Started() as started, Server(system, places, "0", started.environment) as server:
        server.wait()
        server.check(_PROBE)
        load = {"timeout": TIMEOUT, "connections": _CONNECTIONS, "rate": arguments.rate}
        client.open(server, _PROBE.target, seconds=_WARM_UP, **load)
        idle = client.open(server, _PROBE.target, seconds=arguments.seconds, **load)
        with _occupied(server, situation, arguments.seconds + _MORE_SECONDS):
            count = started.wait_for_most(sum(situation.requests.values()))
            occupied = client.open(server, _PROBE.target, seconds=arguments.seconds, **load)
    runs.idle.append(idle)
    runs.occupied.append(occupied)
    runs.started.append(count)


@contextlib.contextmanager
def _occupied(server: Server, situation: Situation, seconds: float):  # type: ignore[no-untyped-def]
    with contextlib.ExitStack() as sockets:
        # What stops the event loop comes last: nothing after it would start.
        for path, count in situation.requests.items():
            for _ in range(count):
                connection = sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
                connection.sendall(f"GET {path}?seconds={seconds:g} HTTP/1.1\r\nhost: load\r\n\r\n".encode())
        yield


def _text(
    arguments: argparse.Namespace,
    results: Results,
    systems: Sequence[str],
    left_out: Mapping[str, str],
    wrong: Sequence[str],
) -> str:
    lines = [
        f"{report.machine()}; {arguments.rate:g} requests/s for {arguments.seconds:g} s, given up after {TIMEOUT:g} s; "
        f"rounds: {arguments.rounds}; server and client on a core each. Medians of the rounds; counts are sums, "
        "`max` is the largest. What failed counts as answered at the timeout. Ratios are those of the same process, "
        "with the smallest and the largest.",
        "",
        *_table(
            "idle", {name: [run for there in results.values() for run in _idle(there, name)] for name in systems}, {}
        ),
    ]
    for situation in SITUATIONS:
        there = {name: runs for name, runs in results[situation.name].items() if runs.occupied}
        lines += ["", *_table(situation.name, {name: runs.occupied for name, runs in there.items()}, there)]
        wanted = sum(situation.requests.values())
        fewer = [f"{name} {min(runs.started)}" for name, runs in there.items() if min(runs.started) < wanted]
        if fewer:
            lines += ["", f"Handlers that were running, where not all {wanted:,} were: {', '.join(fewer)}."]
    all_runs = [run for there in results.values() for runs in there.values() for run in (*runs.idle, *runs.occupied)]
    late = max((run.late_ms for run in all_runs), default=0.0)
    lines += ["", f"The client was behind its schedule by {late:.3f} ms at most, which the latencies contain."]
    if left_out:
        lines += ["", *(f"- {name} is left out: {why}" for name, why in left_out.items())]
    if wrong:
        lines += ["", *(f"- not measured: {why}" for why in wrong)]
    return "\n".join(lines)


def _idle(there: Mapping[str, Runs], name: str) -> list[Outcome]:
    return there[name].idle if name in there else []


def _table(title: str, outcomes: Mapping[str, Sequence[Outcome]], pairs: Mapping[str, Runs]) -> list[str]:
    rows = [
        f"| {title} | sent | answered | timeouts | errors | p50 ms | p99 ms | p99.9 ms | max ms |"
        + (" p99: x idle |" if pairs else ""),
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|" + ("--:|" if pairs else ""),
    ]
    for name, runs in outcomes.items():
        if not runs:
            continue
        cells = [name]
        cells += [f"{sum(getattr(run, what) for run in runs):,}" for what in ("sent", "answered", "timeouts", "failed")]
        for what in ("p50_ms", "p99_ms", "p999_ms"):
            cells.append(_ms(statistics.median(getattr(run, what) for run in runs)))
        cells.append(_ms(max(run.max_ms for run in runs)))
        if pairs:
            ratios = [there.p99_ms / idle.p99_ms for there, idle in zip(runs, pairs[name].idle, strict=True)]
            # Given up is the least that it would have taken.
            least = "≥ " if any(run.p99_ms >= TIMEOUT * 1000 for run in runs) else ""
            cells.append(f"{least}{statistics.median(ratios):,.2f} ({min(ratios):,.2f}–{max(ratios):,.2f})")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _ms(value: float) -> str:
    return "given up" if value >= TIMEOUT * 1000 else f"{value:,.3f}" if value < 10 else f"{value:,.0f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load.isolation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each time (%(default)s)")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second (%(default)s)")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
