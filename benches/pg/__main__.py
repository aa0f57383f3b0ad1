"""`python -m pg`: `bimetal.pg`, psycopg and asyncpg on the same statements, in turns, against one PostgreSQL."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.postgres import Postgres
from load import report
from load.page import say, write

SYSTEMS = ("bimetal", "asyncpg", "psycopg")

#: For each work: what it is called, who takes part, and in what it counts.
WORKS = {
    "one": ("one row by its key, 32 tasks", SYSTEMS, "statements/s"),
    "threads-1": ("the same, `def`, 1 thread", ("bimetal", "psycopg"), "statements/s"),
    "threads-8": ("the same, `def`, 8 threads", ("bimetal", "psycopg"), "statements/s"),
    "many": ("1,000 rows as dicts, 8 tasks", SYSTEMS, "statements/s"),
    "json": ("1,000 rows as JSON bytes, 8 tasks", SYSTEMS, "statements/s"),
    "in-rows": ("COPY of 100,000 tuples in", SYSTEMS, "copies/s"),
    "in-bytes": ("COPY of the same as bytes in", SYSTEMS, "copies/s"),
    "out": ("COPY of 100,000 rows out", SYSTEMS, "copies/s"),
}

SCHEMA = """
CREATE TABLE items AS
SELECT n AS id, 'item ' || n AS name, n / 4.0::float8 AS score,
    '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 minute' AS made
FROM generate_series(1, 100000) n;
ALTER TABLE items ADD PRIMARY KEY (id);
CREATE UNLOGGED TABLE copied (id int, name text, score float8);
VACUUM ANALYZE items;
"""

Results = dict[str, dict[str, list[dict[str, float]]]]
"""Work, then system: what each round gave."""


def main() -> int:
    arguments = _arguments()
    results: Results = {work: {system: [] for system in WORKS[work][1]} for work in arguments.works}
    with tempfile.TemporaryDirectory() as folder, Postgres() as postgres:
        schema = Path(folder) / "schema.sql"
        schema.write_text(SCHEMA)
        postgres.run(schema)
        empty = Path(folder) / "empty.sql"
        empty.write_text("TRUNCATE copied")
        for turn in range(arguments.rounds):
            for work in arguments.works:
                # Who begins changes from round to round.
                systems = WORKS[work][1]
                for system in [*systems[turn % len(systems) :], *systems[: turn % len(systems)]]:
                    say(f"round {turn + 1}: {work}, {system}")
                    postgres.run(empty)
                    results[work][system].append(_run(system, work, postgres.url, arguments.seconds))
    say("")
    text = _text(arguments, results)
    print(text)
    if arguments.write:
        write(arguments.write, "pg", text)
    return 0


def _run(system: str, work: str, dsn: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "pg.works", system, work, dsn, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 10 * seconds)
    if done.returncode:
        sys.exit(f"error: {system}, {work}: {done.stderr}")
    outcome: dict[str, float] = json.loads(done.stdout)
    return outcome


def _text(arguments: argparse.Namespace, results: Results) -> str:
    lines = [
        f"{report.machine()}; driver and PostgreSQL share its cores; medians of {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s, the systems in turns; the ratio is the median of the rounds' own to the better of "
        "the two others. CPU is that of the driver's process, all its threads, for one operation.",
        "",
        "| | " + " | ".join(f"{system} | CPU" for system in SYSTEMS) + " | bimetal to the better |",
        "|---|" + "--:|" * (2 * len(SYSTEMS) + 1),
    ]
    for work, outcomes in results.items():
        title, systems, unit = WORKS[work]
        cells = []
        for system in SYSTEMS:
            if system not in systems:
                cells += ["-", "-"]
                continue
            rates = [run["done"] / run["seconds"] for run in outcomes[system]]
            cpu = statistics.median(run["cpu"] / run["done"] for run in outcomes[system])
            cells += [f"{statistics.median(rates):,.{0 if rates[0] > 100 else 2}f}", _time(cpu)]
        ratios = []
        for turn in range(arguments.rounds):
            rate = {system: outcomes[system][turn]["done"] / outcomes[system][turn]["seconds"] for system in systems}
            ratios.append(rate["bimetal"] / max(value for system, value in rate.items() if system != "bimetal"))
        lines.append(f"| {title}, {unit} | " + " | ".join(cells) + f" | {statistics.median(ratios):.2f} |")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.1f} ms"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pg", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for how long (%(default)s)")
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS), help="which (all)")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
